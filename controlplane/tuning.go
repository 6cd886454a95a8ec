package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/qzmq/gateway/dataplane/xsk"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tuning borrows settings of one interface's driver: it changes them while the
// gateway runs and gives them back at the end. What it owes is written down
// before each change, so that after a crash the next start gives it back. A
// setting that somebody else has changed meanwhile is theirs and left alone.
type tuning struct {
	device string
	index  int
	sys    string // where sysfs shows our network namespace: /sys
	file   string // what is owed
	debts  []debt
}

// debt is one setting that was changed.
type debt struct {
	Index int    // of the interface, which might be another one of the same name by now
	Knob  string // which setting
	Was   string // before
	Now   string // since
}

// The knobs. Those of NAPI are files of the interface in sysfs.
const (
	knobDeferInterrupts = "napi_defer_hard_irqs"
	knobFlushTimeout    = "gro_flush_timeout" // nanoseconds
	knobHashUDP4        = "rx-flow-hash udp4" // xsk.HashFields
	knobHashUDP6        = "rx-flow-hash udp6"
	knobMergeUDP        = "rx-udp-gro-forwarding" // a feature of ethtool's, on or off
)

// newTuning changes nothing yet. Notes of what is owed lie in dir.
func newTuning(device, sys, dir string) (*tuning, error) {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return nil, fmt.Errorf("tune %s: %w", device, err)
	}
	var namespace unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &namespace); err != nil {
		return nil, fmt.Errorf("tune %s: tell the network namespace: %w", device, err)
	}
	return &tuning{
		device: device, index: link.Attrs().Index, sys: sys,
		file: filepath.Join(dir, fmt.Sprintf("owed-%d-%s.json", namespace.Ino, device)),
	}, nil
}

// settle gives back what an earlier run still owes. The caller holds the
// interface, by its XDP program, so no other gateway is using it.
func (t *tuning) settle() error {
	b, err := os.ReadFile(t.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		err = json.Unmarshal(b, &t.debts)
	}
	if err != nil {
		return fmt.Errorf("read what is owed: %w", err)
	}
	return t.giveBack()
}

// borrow sets a knob. It changes nothing unless what it owes is written down.
func (t *tuning) borrow(knob, value string) error {
	was, err := t.read(knob)
	if err != nil || was == value {
		return err
	}
	t.debts = append(t.debts, debt{t.index, knob, was, value})
	if err = t.write(); err == nil {
		if err = t.set(knob, value); err == nil {
			return nil
		}
	}
	t.debts = t.debts[:len(t.debts)-1]
	return errors.Join(err, t.write())
}

// giveBack sets everything to what it was, the last change first. What cannot be
// given back now is owed on. Nothing is owed to an interface that is gone.
func (t *tuning) giveBack() error {
	var problems []error
	var left []debt
	for _, d := range slices.Backward(t.debts) {
		if d.Index != t.index {
			continue
		}
		now, err := t.read(d.Knob)
		if err == nil && now == d.Now {
			err = t.set(d.Knob, d.Was)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			problems = append(problems, fmt.Errorf("give back %s of %s: %w", d.Knob, t.device, err))
			left = append(left, d)
		}
	}
	slices.Reverse(left)
	t.debts = left
	return errors.Join(append(problems, t.write())...)
}

// write writes down what is owed, whole or not at all.
func (t *tuning) write() error {
	if len(t.debts) == 0 {
		if err := os.Remove(t.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("strike out what is owed: %w", err)
		}
		return nil
	}
	b, err := json.Marshal(t.debts)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(t.file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(t.file+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(t.file+".new", t.file)
	}
	if err != nil {
		return fmt.Errorf("write down what is owed: %w", err)
	}
	return nil
}

// read gives the present setting of a knob.
func (t *tuning) read(knob string) (string, error) {
	if flow, ok := hashFlow(knob); ok {
		fields, err := xsk.ReadHashFields(t.device, flow)
		return strconv.FormatUint(uint64(fields), 10), err
	}
	if knob == knobMergeUDP {
		return t.feature(knob)
	}
	// A sysfs mounted for another network namespace has files of the same name.
	index, err := os.ReadFile(t.attribute("ifindex"))
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(string(index)) != strconv.Itoa(t.index) {
		return "", fmt.Errorf("%s does not show the interfaces of this network namespace", t.sys)
	}
	b, err := os.ReadFile(t.attribute(knob))
	return strings.TrimSpace(string(b)), err
}

// set is called after read, whose checks it relies on.
func (t *tuning) set(knob, value string) error {
	if flow, ok := hashFlow(knob); ok {
		fields, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return err
		}
		return xsk.WriteHashFields(t.device, flow, xsk.HashFields(fields))
	}
	if knob == knobMergeUDP {
		return t.setFeature(knob, value)
	}
	return os.WriteFile(t.attribute(knob), []byte(value), 0)
}

const featureOn, featureOff = "on", "off"

func (t *tuning) feature(name string) (string, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return "", err
	}
	defer e.Close()
	features, err := e.Features(t.device)
	if err != nil {
		return "", err
	}
	if on, there := features[name]; !there {
		return "", fmt.Errorf("this kernel has no %s", name)
	} else if on {
		return featureOn, nil
	}
	return featureOff, nil
}

func (t *tuning) setFeature(name, value string) error {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return err
	}
	defer e.Close()
	return e.Change(t.device, map[string]bool{name: value == featureOn})
}

func (t *tuning) attribute(name string) string {
	return filepath.Join(t.sys, "class/net", t.device, name)
}

func hashFlow(knob string) (xsk.Flow, bool) {
	switch knob {
	case knobHashUDP4:
		return xsk.FlowUDP4, true
	case knobHashUDP6:
		return xsk.FlowUDP6, true
	}
	return 0, false
}

// What busy polling needs: two empty rounds of the driver's receive loop, 200 us
// apart at most, before it waits for interrupts again. Without that, interrupts
// and polls get in each other's way.
const (
	busyPollDefer = "2"
	busyPollFlush = "200000"
)

// busyPolling keeps interrupts away while our own calls poll.
func (t *tuning) busyPolling() error {
	return errors.Join(t.borrow(knobDeferInterrupts, busyPollDefer), t.borrow(knobFlushTimeout, busyPollFlush))
}

// merge has the kernel merge records that arrive one by one, as from a wire, into
// super-frames (GRO), which by itself it does only for a socket that asks for it.
// Where it does, on veth with records cut by their sender, TCP was 1.5 times as fast
// for 0.6 of the CPU time. Other datagrams that the kernel forwards are merged and
// cut again.
func (t *tuning) merge(log *slog.Logger) {
	if err := t.borrow(knobMergeUDP, featureOn); err != nil {
		log.Info("records that arrive one by one are not merged", "interface", t.device, "reason", err)
	}
}

// spread has records spread over the queues by their ports, and says so once
// where the driver has no say in it. In that case all streams of one peer may
// arrive at one queue.
func (t *tuning) spread(log *slog.Logger, ipv6 bool) {
	knob := knobHashUDP4
	if ipv6 {
		knob = knobHashUDP6
	}
	err := t.borrow(knob, strconv.FormatUint(uint64(xsk.HashAddressesAndPorts), 10))
	if err != nil {
		log.Info("the driver decides by itself which queue a record arrives at", "interface", t.device, "reason", err)
	}
}
