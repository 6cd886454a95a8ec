package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
)

// What one source may do on the control port unless the configuration says
// otherwise. A peer opens one connection and keeps it; a site behind one
// address that restarts all its gateways still stays far below this.
const (
	DefaultSynRate  = 20
	DefaultSynBurst = 100
)

// OutsideConfig is what steer_outside holds to be ours.
type OutsideConfig struct {
	Addresses []netip.Addr // of the gateway on the outside: one IPv4, one IPv6, or both
	Port      uint16       // UDP records and TCP control connections
	SynRate   uint32       // new TCP connections a second from one source; 0: DefaultSynRate
	SynBurst  uint32       // so many at once before the rate counts; 0: DefaultSynBurst
}

// Outside is the program on the port towards the other gateways, where AF_XDP
// sockets take what it redirects.
type Outside struct {
	steering
	sessions
}

// LoadOutside puts steer_outside into the kernel, attached to nothing yet. The
// configuration is for good: the program is compiled for it.
func LoadOutside(cfg OutsideConfig) (*Outside, error) {
	config, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	return loadSteerOutside(config)
}

func loadSteerOutside(config outsideConfig) (*Outside, error) {
	// What is not named here is not loaded: the programs for packet sockets.
	var objects struct {
		xdpOutside
		outsideMaps
	}
	exits, err := loadConfigured(config, &objects)
	if err != nil {
		return nil, fmt.Errorf("steer_outside: %w", err)
	}
	return &Outside{
		steering: steering{
			counting:   counting{objects.Counters, exits},
			attachment: attachment{objects: closers{objects.SteerOutside, &objects.outsideMaps}},
			program:    objects.SteerOutside,
			sockets:    objects.Sockets,
		},
		sessions: sessions{objects.Sessions},
	}, nil
}

type xdpOutside struct {
	SteerOutside *ebpf.Program `ebpf:"steer_outside"`
}

// loadConfigured puts those of the outside's programs into the kernel that objects
// names, compiled for the configuration.
func loadConfigured(config outsideConfig, objects any) ([]string, error) {
	spec, err := loadOutside()
	if err != nil {
		return nil, fmt.Errorf("read the outside's programs: %w", err)
	}
	if err := spec.Variables[outsideVarConfig].Set(config); err != nil {
		return nil, fmt.Errorf("configure the outside's programs: %w", err)
	}
	return load(spec, objects)
}

// compile checks the configuration and writes it as the program reads it,
// addresses and port in network order.
func (c OutsideConfig) compile() (outsideConfig, error) {
	var out outsideConfig

	if c.Port == 0 {
		return out, errors.New("outside configuration: no port")
	}
	out.Port = binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, c.Port))

	for _, address := range c.Addresses {
		address = address.Unmap()
		switch {
		case !address.IsValid() || address.IsUnspecified() || address.IsMulticast():
			return out, fmt.Errorf("outside configuration: %v is not an address of a gateway", address)
		case address.Zone() != "":
			return out, fmt.Errorf("outside configuration: %v has a zone", address)
		case address.Is4():
			if out.HasIpv4 != 0 {
				return out, errors.New("outside configuration: more than one IPv4 address")
			}
			ip := address.As4()
			out.HasIpv4 = 1
			out.Ipv4 = binary.NativeEndian.Uint32(ip[:])
		default:
			if out.HasIpv6 != 0 {
				return out, errors.New("outside configuration: more than one IPv6 address")
			}
			ip := address.As16()
			out.HasIpv6 = 1
			for i := range out.Ipv6 {
				out.Ipv6[i] = binary.NativeEndian.Uint32(ip[4*i:])
			}
		}
	}
	if len(c.Addresses) == 0 {
		return out, errors.New("outside configuration: no address")
	}

	rate, burst := c.SynRate, c.SynBurst
	if rate == 0 {
		rate = DefaultSynRate
	}
	if burst == 0 {
		burst = DefaultSynBurst
	}
	// Rounded up, so that the limit is never above the rate asked for and never
	// disappears; the first of a burst is due at once, hence one interval less.
	out.SynIntervalNs = (uint64(time.Second) + uint64(rate) - 1) / uint64(rate)
	out.SynBurstNs = out.SynIntervalNs * uint64(burst-1)
	return out, nil
}

// sessions are those whose records the outside's programs let through. Any number
// of goroutines may change them.
type sessions struct{ table *ebpf.Map }

// AddSession lets records through that carry this session id, the one this
// gateway has given out.
func (s sessions) AddSession(id uint32) error {
	if err := s.table.Put(id, uint8(1)); err != nil {
		return fmt.Errorf("add session %#08x: %w", id, err)
	}
	return nil
}

// RemoveSession undoes AddSession. To remove an unknown id is no error.
func (s sessions) RemoveSession(id uint32) error {
	err := s.table.Delete(id)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("remove session %#08x: %w", id, err)
	}
	return nil
}
