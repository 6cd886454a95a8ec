package controlplane

import (
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestGuardWholeRoutes(t *testing.T) {
	l := newGuardedLab(t, 5555)
	all := func(pass bool) map[string]bool {
		return map[string]bool{
			"ping 10.2.0.2": pass, "tcp 10.2.0.2 5555": pass, "udp 10.2.0.2 5555": pass,
			"ping fd00:2::2": pass, "tcp fd00:2::2 5555": pass, "udp fd00:2::2 5555": pass,
		}
	}
	original := l.rules()
	l.expect("before", all(true))

	routes := []guardRule{guarded("10.2.0.0/24"), guarded("fd00:2::/64")}
	l.sync(routes...)
	l.expect("guarded", all(false))
	// The gateway itself, and what arrives elsewhere, are not its business.
	if !l.ping("gw", "10.2.0.2") || !l.ping("gw", "fd00:2::2") {
		t.Error("the gateway does not reach the guarded network")
	}
	once := l.rules()
	l.sync(routes...)
	if again := l.rules(); again != once {
		t.Errorf("the second time changes\n%sinto\n%s", once, again)
	}

	// Another set: the stale rules go, those of others stay.
	l.do("gw", "ip rule add pref 90 to 203.0.113.0/24 lookup main protocol static")
	l.sync(guarded("10.77.0.0/16"))
	l.expect("after another set", all(true))
	if r := l.rules(); !strings.Contains(r, "10.77.0.0/16") || strings.Contains(r, "10.2.0.0") || !strings.Contains(r, "203.0.113.0") {
		t.Errorf("rules are\n%s", r)
	}
	// A rule that carries our mark and is none of the guard's goes too.
	l.do("gw", "ip rule add pref 100 to 10.2.0.0/24 lookup main protocol 81")
	l.do("gw", "ip rule add pref 7 iif eth1 blackhole protocol 81")
	l.sync(routes...)
	l.expect("guarded again", all(false))

	l.clear()
	l.expect("cleared", all(true))
	l.do("gw", "ip rule del pref 90")
	if r := l.rules(); r != original {
		t.Errorf("left behind:\n%swas:\n%s", r, original)
	}
}

func TestGuardServices(t *testing.T) {
	l := newGuardedLab(t, 5555, 5561, 60000, 65535)
	services := []PortRange{{5555, 5560}, {6000, 6000}}
	l.sync(guarded("10.2.0.0/24", services...), guarded("fd00:2::/64", services...))
	l.expect("services", map[string]bool{
		"ping 10.2.0.2": true, "tcp 10.2.0.2 5555": false, "udp 10.2.0.2 5555": false,
		"tcp 10.2.0.2 5561": true, "udp 10.2.0.2 5561": true, // no service
		"tcp 10.2.0.2 5561 5557": false, "udp 10.2.0.2 5561 6000": false, // a service's answers
		"ping fd00:2::2": true, "tcp fd00:2::2 5555": false, "udp fd00:2::2 5561": true,
		"tcp 10.2.0.2 65535": true,
	})
	// A range up to the last port, which the kernel has no rule for.
	l.sync(guarded("10.2.0.0/24", PortRange{49152, 65535}, PortRange{5555, 5555}))
	l.expect("top ports", map[string]bool{
		"ping 10.2.0.2": true, "tcp 10.2.0.2 5561 2000": true, "udp 10.2.0.2 5561 2000": true,
		"tcp 10.2.0.2 60000": false, "udp 10.2.0.2 65535": false, "tcp 10.2.0.2 65535 2000": false,
		"tcp 10.2.0.2 5561 50000": false, "udp 10.2.0.2 5561 65535": false, "udp 10.2.0.2 5555 2000": false,
		"tcp fd00:2::2 65535": true,
	})
	l.sync(guarded("10.2.0.0/24", PortRange{1, 65535}))
	l.expect("every port", map[string]bool{
		"ping 10.2.0.2": true, "tcp 10.2.0.2 5561": false, "udp 10.2.0.2 65535": false,
	})
}

// A longer prefix decides before a shorter one, as in the dataplane.
func TestGuardNested(t *testing.T) {
	l := newGuardedLab(t, 5555, 5561)
	l.do("gw", "ip addr add 10.3.0.1/24 dev eth2")
	l.do("h2", "ip addr add 10.3.0.2/24 dev eth0")
	l.sync(guarded("10.2.0.0/24", PortRange{5555, 5555}), guarded("10.0.0.0/8"))
	l.expect("nested", map[string]bool{
		"ping 10.2.0.2": true, "tcp 10.2.0.2 5561": true, "tcp 10.2.0.2 5555": false,
		"ping 10.3.0.2": false, "tcp 10.3.0.2 5561": false,
	})
}

// With everything guarded, the inside hosts still reach the gateway and each
// other through it.
func TestGuardEverything(t *testing.T) {
	l := newGuardedLab(t, 5555)
	// A second network on the inside interface, with a host of its own there.
	l.addNamespace("h3")
	l.host("ip -n " + l.prefix + "h1 link add link eth0 name eth9 type macvlan mode bridge")
	l.host("ip -n " + l.prefix + "h1 link set eth9 netns " + l.prefix + "h3")
	l.do("h3", "ip link set eth9 up")
	l.do("h3", "ip addr add 10.4.0.2/24 dev eth9")
	l.do("h3", "ip addr add fd00:4::2/64 dev eth9 nodad")
	l.do("h3", "ip route add default via 10.4.0.1")
	l.do("h3", "ip route add default via fd00:4::1")
	l.do("gw", "ip addr add 10.4.0.1/24 dev eth1")
	l.do("gw", "ip addr add fd00:4::1/64 dev eth1 nodad")
	l.do("h1", "sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.eth0.accept_redirects=0 net.ipv6.conf.eth0.accept_redirects=0")

	want := map[string]bool{
		"ping 10.1.0.1": true, "ping 10.2.0.1": true, "ping fd00:1::1": true, // the gateway
		"ping 10.4.0.2": true, "ping fd00:4::2": true, // its other hosts
		"ping 10.2.0.2": true, "ping fd00:2::2": true, "tcp 10.2.0.2 5555": true,
	}
	l.expect("before", want)
	l.sync(guarded("0.0.0.0/0"), guarded("::/0"))
	want["ping 10.2.0.2"], want["ping fd00:2::2"], want["tcp 10.2.0.2 5555"] = false, false, false
	l.expect("guarded", want)
	// A longer protected prefix inside a connected one is still protected.
	l.sync(guarded("0.0.0.0/0"), guarded("::/0"), guarded("10.4.0.0/25"), guarded("fd00:4::/64"))
	want["ping 10.4.0.2"], want["ping fd00:4::2"] = false, false
	l.expect("longer", want)
	l.clear()
	for what := range want {
		want[what] = true
	}
	l.expect("cleared", want)
}

func TestGuardVLANNames(t *testing.T) {
	attrs := func(name string, index, parent int) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Name, a.Index, a.ParentIndex = name, index, parent
		return a
	}
	elsewhere := &netlink.Vlan{LinkAttrs: attrs("elsewhere", 8, 1)}
	elsewhere.NetNsID = 2
	links := []netlink.Link{
		&netlink.Vlan{LinkAttrs: attrs("eth1.5.6", 4, 3)},
		&netlink.Vlan{LinkAttrs: attrs("eth1.5", 3, 1)},
		&netlink.Vlan{LinkAttrs: attrs("eth2.5", 5, 2)},
		&netlink.Device{LinkAttrs: attrs("eth1", 1, 0)},
		&netlink.Device{LinkAttrs: attrs("eth2", 2, 0)},
		&netlink.Veth{LinkAttrs: attrs("peer", 7, 1)},
		elsewhere,
	}
	for _, tt := range []struct {
		device string
		want   []string
	}{
		{"eth1", []string{"eth1", "eth1.5", "eth1.5.6"}},
		{"eth2", []string{"eth2", "eth2.5"}},
		{"eth9", []string{"eth9"}},
	} {
		names, ours := withVLANs(links, tt.device)
		if slices.Sort(names); !slices.Equal(names, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.device, names, tt.want)
		}
		if exist := len(ours); exist != len(tt.want) && tt.device != "eth9" {
			t.Errorf("%s: %d interfaces exist, want %d", tt.device, exist, len(tt.want))
		}
	}
}

func TestGuardVLAN(t *testing.T) {
	l := newGuardedLab(t, 5555)
	l.needVLAN()
	l.do("gw", "ip link add link eth1 name eth1.100 type vlan id 100")
	l.do("gw", "ip link set eth1.100 up")
	l.do("gw", "ip addr add 10.100.0.1/24 dev eth1.100")
	l.do("h1", "ip link add link eth0 name eth0.100 type vlan id 100")
	l.do("h1", "ip link set eth0.100 up")
	l.do("h1", "ip addr add 10.100.0.2/24 dev eth0.100")
	l.do("h1", "ip route add 10.2.0.0/24 via 10.100.0.1")
	l.expect("before", map[string]bool{"ping 10.2.0.2": true})
	l.sync(guarded("10.2.0.0/24"))
	l.expect("guarded", map[string]bool{"ping 10.2.0.2": false})
	l.clear()
	l.expect("cleared", map[string]bool{"ping 10.2.0.2": true})
}

// Without the interface the rules wait for its name.
func TestGuardBeforeInterface(t *testing.T) {
	l := newGuardedLab(t)
	l.do("gw", "ip link del eth1")
	l.sync(guarded("10.2.0.0/24"))
	l.connect("eth1", "h1", 1)
	l.expect("guarded", map[string]bool{"ping 10.2.0.2": false, "ping fd00:2::2": true})
	l.clear()
	l.expect("cleared", map[string]bool{"ping 10.2.0.2": true})
}
