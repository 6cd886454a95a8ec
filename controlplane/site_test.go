package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/qzmq/handshake"
)

// site is a gateway's control plane with a whole dataplane on pipes: everything
// but the kernel's interfaces. Control connections are real TCP on loopback,
// where every 127.0.0.x is an address of its own.
type site struct {
	t         *testing.T
	peering   *peering
	authority *authority // begin makes one if there is none
	steer     *steerTable
	inside    *dataplane.PipeEnd // the hosts' end
	outside   *dataplane.PipeEnd // the cable's end
	log       *siteLog
	network   netip.Prefix
	stop      func() // ends the site in good order
}

// steerTable stands where the steering program's table is.
type steerTable struct {
	mu  sync.Mutex
	ids map[uint32]bool
}

func (s *steerTable) AddSession(id uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[id] = true
	return nil
}

func (s *steerTable) RemoveSession(id uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
	return nil
}

func (s *steerTable) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

type siteLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *siteLog) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *siteLog) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *siteLog) count(text string) int { return strings.Count(s.String(), text) }

func identity(t *testing.T) *handshake.Identity {
	t.Helper()
	id, err := handshake.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// newSite makes site number n with its dataplane running; begin starts its
// control plane.
func newSite(t *testing.T, n byte, id *handshake.Identity, port uint16) *site {
	t.Helper()
	hosts, inside := dataplane.Pipe(4096)
	cable, outside := dataplane.Pipe(4096)
	work := make(chan struct{}, 1)
	wake := func() {
		select {
		case work <- struct{}{}:
		default:
		}
	}
	inside.Notify(wake)
	outside.Notify(wake)
	engine := dataplane.NewEngine([]dataplane.Queue{{
		Inside: inside, Outside: outside, Wake: wake,
		Wait: func(d time.Duration) {
			select {
			case <-work:
			case <-time.After(d):
			}
		},
	}}, func(netip.Addr) {})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })

	s := &site{t: t, steer: &steerTable{ids: map[uint32]bool{}}, inside: hosts, outside: cable, log: &siteLog{}}
	s.network = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, n, 0, 0}), 24)
	own, far := [6]byte{2, 0, 0, 0, 0, n}, [6]byte{2, 0, 0, 0, 1, n}
	host := netip.AddrFrom4([4]byte{10, n, 0, 2})
	peers := map[netip.Addr]dataplane.Hop{}
	for i := byte(1); i < 10; i++ {
		peers[netip.AddrFrom4([4]byte{127, 0, 0, i})] = dataplane.NewHop(far, own)
	}
	engine.SetHops(map[netip.Addr]dataplane.Hop{host: dataplane.NewHop(far, own)}, peers)
	s.peering = &peering{
		identity: id,
		local:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, n}), port),
		rotation: RotationConfig{MaxMessages: DefaultMaxMessages, MaxBytes: DefaultMaxBytes, MaxAge: DefaultMaxAge},
		tempo:    usualTempo(),
		engine:   engine, steer: s.steer, resolve: func(netip.Addr) {},
		wireMTU: func() int { return 1500 },
		log:     slog.New(slog.NewTextHandler(s.log, nil)), meter: newHandshakeMeter(), changes: make(chan change),
	}
	err := s.peering.protect(AntiDoSConfig{CookieTimeout: DefaultCookieTimeout, MaxConcurrent: DefaultMaxConcurrent, Cookie: CookieAuto},
		ResumptionConfig{Enabled: true, TicketLifetime: DefaultTicketLifetime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.stop != nil {
			s.stop()
		}
		if t.Failed() {
			t.Logf("log of site %d:\n%s", n, s.log)
			for _, d := range dataplane.Drops() {
				if dead := engine.Stats()[0].Dropped[d]; dead > 0 {
					t.Logf("site %d: %d packets dropped as %v", n, dead, d)
				}
			}
		}
	})
	return s
}

// begin starts the control plane with these links.
func (s *site) begin(links ...LinkConfig) {
	s.t.Helper()
	routes := map[string][]netip.Prefix{}
	for _, l := range links {
		routes[l.Name] = l.Routes
	}
	s.peering.engine.SetRoutes(routes)
	if s.authority == nil {
		s.authority = newAuthority(s.peering.identity.Fingerprint(), links, nil, nil)
	}
	policy, err := s.peering.newPolicy(s.authority, links)
	if err != nil {
		s.t.Fatal(err)
	}
	s.peering.adopt(policy)
	listener, err := net.Listen("tcp", s.peering.local.String())
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.peering.run(ctx, listener) })
	s.stop = func() { cancel(); running.Wait(); s.stop = nil }
}

// linkTo is the configuration of a link to another site.
func (s *site) linkTo(o *site, dials bool) LinkConfig {
	l := LinkConfig{
		Name: fmt.Sprintf("to-%v", o.peering.local.Addr().As4()[3]),
		Peer: o.peering.identity.Fingerprint(), Routes: []netip.Prefix{o.network}, Suite: handshake.DefaultSuite(), Phase: PhaseEnforce,
	}
	l.Suite.Sig = o.peering.identity.Algorithm()
	if dials {
		l.Endpoint = o.peering.local
	}
	return l
}

func (s *site) link(o *site) *link { return s.peering.policy.Load().links[s.linkTo(o, false).Name] }

// alive counts the link's control connections.
func (l *link) aliveChannels() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.channels {
		if c.alive {
			n++
		}
	}
	return n
}

// cut ends the link's control connections as the network might, without a word.
func (l *link) cut() {
	l.mu.Lock()
	channels := slices.Clone(l.channels)
	l.mu.Unlock()
	for _, c := range channels {
		c.conn.CloseWith(handshake.AlertNone)
	}
}

// eventually waits for a condition, and fails naming it.
func eventually(t *testing.T, what string, within time.Duration, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// freePort is a TCP port that nothing listens on.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// cable carries frames between two sites until the test ends, and counts them.
func cable(t *testing.T, a, b *site) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			n := move(a.outside, b.outside) + move(b.outside, a.outside)
			if n == 0 {
				time.Sleep(100 * time.Microsecond)
			}
		}
	})
	t.Cleanup(func() { close(done); running.Wait() })
}

func move(from, to *dataplane.PipeEnd) int {
	frames := from.Recv()
	for _, f := range frames {
		room := to.Room()
		to.Commit(room[:copy(room, f)])
	}
	to.Flush()
	return len(frames)
}

// ping sends n UDP packets from a host of s to a host of o, numbered from
// first, and gives the numbers that arrived.
func (s *site) send(o *site, first, n int) {
	for i := first; i < first+n; i++ {
		room := s.inside.Room()
		if room == nil {
			s.t.Fatal("the inside pipe is full")
		}
		s.inside.Commit(room[:putUDP(room, s.network, o.network, uint32(i))])
		s.inside.Flush()
	}
}

func putUDP(b []byte, src, dst netip.Prefix, number uint32) int {
	clear(b[:14+20+8+4])
	b[12] = 8 // IPv4
	ip := b[14:]
	ip[0], ip[3], ip[8], ip[9] = 0x45, 20+8+4, 64, 17
	from, to := src.Addr().As4(), dst.Addr().As4()
	from[3], to[3] = 2, 2
	copy(ip[12:], from[:])
	copy(ip[16:], to[:])
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(ip[i])<<8 | uint32(ip[i+1])
	}
	sum = sum>>16 + sum&0xffff
	sum = ^(sum>>16 + sum)
	ip[10], ip[11] = byte(sum>>8), byte(sum)
	ip[20+5] = 8 + 4
	copy(ip[28:], []byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)})
	return 14 + 20 + 8 + 4
}

// received gives the numbers of the packets that have come out inside.
func (s *site) received() (numbers []uint32) {
	for _, f := range s.inside.Recv() {
		p := f[14+28:]
		numbers = append(numbers, uint32(p[0])<<24|uint32(p[1])<<16|uint32(p[2])<<8|uint32(p[3]))
	}
	return numbers
}

// exchange checks that packets cross both ways.
func exchange(t *testing.T, a, b *site) {
	t.Helper()
	for _, way := range [][2]*site{{a, b}, {b, a}} {
		from, to := way[0], way[1]
		to.received()
		from.send(to, 0, 10)
		got := 0
		eventually(t, "ten packets crossed", 5*time.Second, func() bool { got += len(to.received()); return got == 10 })
	}
}
