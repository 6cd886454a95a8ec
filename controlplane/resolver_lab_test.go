package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/qzmq/gateway/dataplane"
)

// kernelLab is two hosts and the gateway between them, each in a network namespace:
//
//	h1 eth0 10.1.0.2 -- eth1 10.1.0.1 gw eth2 10.2.0.1 -- eth0 10.2.0.2 h2
//
// IPv6 likewise in fd00:1::/64 and fd00:2::/64. The gateway forwards.
type kernelLab struct {
	t      *testing.T
	prefix string
}

func newKernelLab(t *testing.T) *kernelLab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes network namespaces and must run as root")
	}
	l := &kernelLab{t: t, prefix: fmt.Sprintf("qzt-rg%d-%s-", os.Getpid(), strings.ToLower(t.Name()[len(t.Name())-4:]))}
	for _, ns := range []string{"h1", "gw", "h2"} {
		l.addNamespace(ns)
	}
	l.do("gw", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	l.connect("eth1", "h1", 1)
	l.connect("eth2", "h2", 2)
	return l
}

func (l *kernelLab) addNamespace(ns string) {
	l.t.Helper()
	l.host("ip netns add " + l.prefix + ns)
	l.t.Cleanup(func() { l.host("ip netns del " + l.prefix + ns) })
	l.do(ns, "ip link set lo up")
	// Until an interface has made sure that nobody else has its link-local
	// address, it asks for no neighbour.
	l.do(ns, "sysctl -qw net.ipv6.conf.default.accept_dad=0")
}

// connect makes the cable between an interface of the gateway and a host's eth0.
func (l *kernelLab) connect(device, host string, n int) {
	l.t.Helper()
	l.do("gw", fmt.Sprintf("ip link add %s type veth peer name eth0 netns %s%s", device, l.prefix, host))
	l.do("gw", "ip link set "+device+" up")
	l.do(host, "ip link set eth0 up")
	for _, f := range []string{"10.%d.0.%d/24", "fd00:%d::%d/64"} {
		l.do("gw", fmt.Sprintf("ip addr add "+f+" dev %s nodad", n, 1, device))
		l.do(host, fmt.Sprintf("ip addr add "+f+" dev eth0 nodad", n, 2))
	}
	l.do(host, fmt.Sprintf("ip route add default via 10.%d.0.1", n))
	l.do(host, fmt.Sprintf("ip route add default via fd00:%d::1", n))
}

// needVLAN skips the test on a kernel that is built without VLAN interfaces.
func (l *kernelLab) needVLAN() {
	l.t.Helper()
	f := strings.Fields("netns exec " + l.prefix + "gw ip link add link eth1 name probe type vlan id 4000")
	if out, err := exec.Command("ip", f...).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "Unknown device type") {
			l.t.Skip("this kernel has no VLAN interfaces (CONFIG_VLAN_8021Q)")
		}
		l.t.Fatalf("%v\n%s", err, out)
	}
	l.do("gw", "ip link del probe")
}

// do runs a command in a namespace.
func (l *kernelLab) do(ns, command string) string {
	l.t.Helper()
	return l.host("ip netns exec " + l.prefix + ns + " " + command)
}

func (l *kernelLab) host(command string) string {
	l.t.Helper()
	f := strings.Fields(command)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// in calls f on a thread that is in a namespace, and that ends with it.
func (l *kernelLab) in(ns string, f func()) {
	l.t.Helper()
	h, err := netns.GetFromName(l.prefix + ns)
	if err != nil {
		l.t.Fatal(err)
	}
	defer h.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := netns.Set(h)
		defer func() { done <- err }() // also when f ends the test
		if err == nil {
			f()
		}
	}()
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
}

// mac reads an interface's hardware address.
func (l *kernelLab) mac(ns, device string) [6]byte {
	l.t.Helper()
	hw, err := net.ParseMAC(strings.TrimSpace(l.do(ns, "cat /sys/class/net/"+device+"/address")))
	if err != nil {
		l.t.Fatal(err)
	}
	return [6]byte(hw)
}

// watched is a running resolver and all that it has published.
type watched struct {
	*resolver
	t    *testing.T
	logs syncBuffer
	held atomic.Pointer[sync.Mutex] // publications wait for it

	mu   sync.Mutex
	seen [][sides]map[netip.Addr]dataplane.Hop
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// resolve starts a resolver in the gateway's namespace.
func (l *kernelLab) resolve(prepare func(*resolver)) *watched {
	l.t.Helper()
	w := &watched{t: l.t}
	log := slog.New(slog.NewTextHandler(&w.logs, nil))
	l.in("gw", func() {
		r, err := newResolver(log, "eth1", "eth2", func(inside, outside map[netip.Addr]dataplane.Hop) {
			if m := w.held.Load(); m != nil {
				m.Lock()
				defer m.Unlock()
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen = append(w.seen, [sides]map[netip.Addr]dataplane.Hop{inside, outside})
		})
		if err != nil {
			l.t.Error(err)
			return
		}
		w.resolver = r
	})
	if w.resolver == nil {
		l.t.FailNow()
	}
	if prepare != nil {
		prepare(w.resolver)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.run(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != context.Canceled {
			l.t.Errorf("run ended with %v", err)
		}
	})
	return w
}

// publications is how often the resolver has published.
func (w *watched) publications() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// published is the hop to addr in publication i, the last for -1.
func (w *watched) published(i int, s side, addr string) (dataplane.Hop, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) == 0 {
		return dataplane.Hop{}, false
	}
	if i < 0 {
		i = len(w.seen) - 1
	}
	h, ok := w.seen[i][s][netip.MustParseAddr(addr)]
	return h, ok
}

// await waits until addr's hop is what the test wants, asking for it as often
// as a dataplane does that meets packets to it.
func (w *watched) await(s side, addr string, hop dataplane.Hop, within time.Duration) {
	w.t.Helper()
	w.until(within, fmt.Sprintf("%s %s is not resolved as expected", s, addr), func() bool {
		w.want(s, netip.MustParseAddr(addr))
		got, ok := w.published(-1, s, addr)
		return ok && got == hop
	})
}

func (w *watched) until(within time.Duration, otherwise string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s within %v; log:\n%s", otherwise, within, w.logs.String())
		}
	}
}
