package bpf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

func TestRouteLongestWins(t *testing.T) {
	services := []Range{{5555, 5555}}
	in := newInside(t,
		Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Services: services},
		Route{Prefix: netip.MustParsePrefix("10.0.0.0/8")},
		Route{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Local: true},
		Route{Prefix: netip.MustParsePrefix("10.2.3.0/24"), Services: services, OtherDrop: true},
		Route{Prefix: netip.MustParsePrefix("10.2.3.4/32"), Local: true},
		Route{Prefix: netip.MustParsePrefix("::/0")},
		Route{Prefix: netip.MustParsePrefix("ff00::/8"), Local: true},
		Route{Prefix: netip.MustParsePrefix("fe80::/10"), Local: true},
		Route{Prefix: netip.MustParsePrefix("fd00::/63"), Services: services},
		Route{Prefix: netip.MustParsePrefix("fd00::/64"), Services: services, OtherDrop: true},
	)
	for dst, exit := range map[string]string{
		"192.0.2.1":    "other_passed",
		"10.1.0.0":     "no_socket",
		"10.2.2.255":   "local",
		"10.2.3.3":     "other_dropped",
		"10.2.3.4":     "local",
		"10.2.3.5":     "other_dropped",
		"2001:db8::1":  "no_socket",
		"ff02::1":      "local",
		"fe80::1":      "local",
		"fd00::1":      "other_dropped",
		"fd00:0:0:1::": "other_passed",
		"fd00:0:0:2::": "no_socket",
	} {
		frame := to4
		if netip.MustParseAddr(dst).Is6() {
			frame = to6
		}
		run(t, &in.steering, dst, frame(dst, protoUDP, udp(40000, 80, nil)), exit)
	}
}

func TestSetRoutesReplaces(t *testing.T) {
	one, two := netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.3.0.0/16")
	other := func(dst string) []byte { return to4(dst, protoUDP, udp(40000, 80, nil)) }
	in := newInside(t, Route{Prefix: one})

	steps := []struct {
		name     string
		routes   []Route
		one, two string // exits of a packet to each network
		sets     int
	}{
		{"both, one with services", []Route{{Prefix: one, Services: []Range{{1, 2}}}, {Prefix: two}}, "other_passed", "no_socket", 1},
		{"the same services, written differently", []Route{{Prefix: one, Services: []Range{{2, 2}, {1, 1}}}, {Prefix: two, Services: []Range{{1, 2}, {1, 1}}}}, "other_passed", "other_passed", 1},
		{"different services", []Route{{Prefix: one, Services: []Range{{80, 80}}}, {Prefix: two, Services: []Range{{1, 1}}, OtherDrop: true}}, "no_socket", "other_dropped", 2},
		{"the second goes, the first twice", []Route{{Prefix: one, Local: true}, {Prefix: one, Local: true}}, "local", "no_route", 0},
		{"host bits do not matter", []Route{{Prefix: netip.MustParsePrefix("10.3.9.9/16")}}, "no_route", "no_socket", 0},
		{"none", nil, "no_route", "no_route", 0},
	}
	for _, step := range steps {
		if err := in.SetRoutes(step.routes); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		run(t, &in.steering, step.name+", one", other("10.2.0.1"), step.one)
		run(t, &in.steering, step.name+", two", other("10.3.0.1"), step.two)
		if len(in.sets) != step.sets {
			t.Errorf("%s: %d service sets in use, want %d", step.name, len(in.sets), step.sets)
		}
	}
}

// checkTables demands that the kernel's tables hold exactly what the loader
// believes.
func checkTables(t *testing.T, in *Inside) {
	t.Helper()
	found := make(map[netip.Prefix]insideRoute)
	var route insideRoute
	var k4 insidePrefix4
	entries := in.maps.Routes4.Iterate()
	for entries.Next(&k4, &route) {
		found[netip.PrefixFrom(netip.AddrFrom4(k4.Address), int(k4.Bits))] = route
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	var k6 insidePrefix6
	entries = in.maps.Routes6.Iterate()
	for entries.Next(&k6, &route) {
		found[netip.PrefixFrom(netip.AddrFrom16(k6.Address), int(k6.Bits))] = route
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(found, in.routes) {
		t.Errorf("the kernel holds %d routes that are not the %d set", len(found), len(in.routes))
	}
}

func TestSetRoutesFull(t *testing.T) {
	many := func(third int) []Route {
		var routes []Route
		for i := range MaxRoutes {
			routes = append(routes,
				Route{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(third), byte(i >> 8), byte(i)}), 32)},
				Route{Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, byte(third), byte(i >> 8), byte(i)}), 64)})
		}
		return routes
	}
	in := newInside(t, many(1)...)
	checkTables(t, in)
	// All of them at once, while the old ones are still there.
	if err := in.SetRoutes(many(2)); err != nil {
		t.Fatal(err)
	}
	checkTables(t, in)
	if len(in.routes) != 2*MaxRoutes {
		t.Errorf("%d routes are set, want %d", len(in.routes), 2*MaxRoutes)
	}

	over := append(many(3), Route{Prefix: netip.MustParsePrefix("10.9.0.0/32")})
	if err := in.SetRoutes(over); err == nil {
		t.Error("one route too many was accepted")
	}
	checkTables(t, in)
	run(t, &in.steering, "refused routes change nothing", to4("10.2.0.7", protoUDP, nil), "no_socket")
}

// Service sets go round and come back, and too many of them change nothing.
func TestSetRoutesServiceSets(t *testing.T) {
	in := newInside(t)
	sets := int(in.maps.Services.MaxEntries()) - 1
	routes := func(n, port int) (routes []Route) {
		for i := range n {
			routes = append(routes, Route{
				Prefix:   netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), 32),
				Services: []Range{{uint16(port + i), uint16(port + i)}},
			})
		}
		return routes
	}

	for round := range 5 {
		port := 1000 * (round + 1)
		if err := in.SetRoutes(routes(sets/2, port)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for i := range 5 {
			dst := fmt.Sprintf("10.2.0.%d", i)
			run(t, &in.steering, dst, to4(dst, protoUDP, udp(1, uint16(port+i), nil)), "no_socket")
			run(t, &in.steering, dst, to4(dst, protoUDP, udp(1, uint16(port+i+1), nil)), "other_passed")
		}
	}
	before := maps.Clone(in.routes)
	if err := in.SetRoutes(routes(sets+1, 20000)); err == nil {
		t.Error("more service sets than there is room for were accepted")
	}
	if !maps.Equal(before, in.routes) || len(in.sets) != sets/2 {
		t.Error("refused services changed the routes or stayed in the table")
	}
	checkTables(t, in)
	if err := in.SetRoutes(nil); err != nil {
		t.Fatal(err)
	}
	if err := in.SetRoutes(routes(sets, 30000)); err != nil {
		t.Errorf("as many service sets as there is room for: %v", err)
	}
}

func TestSetRoutesRefuses(t *testing.T) {
	network := netip.MustParsePrefix("10.2.0.0/16")
	tests := map[string][]Route{
		"is not a network":   {{}},
		"not a network":      {{Prefix: netip.MustParsePrefix("::ffff:10.0.0.0/104")}},
		"backwards":          {{Prefix: network, Services: []Range{{2, 1}}}},
		"services is empty":  {{Prefix: network, Services: []Range{}}},
		"local route has no": {{Prefix: network, Local: true, Services: []Range{{1, 1}}}},
		"there twice":        {{Prefix: network}, {Prefix: netip.MustParsePrefix("10.2.9.9/16"), Local: true}},
		"twice, with":        {{Prefix: network, Services: []Range{{1, 1}}}, {Prefix: network, Services: []Range{{2, 2}}}},
	}
	in := newInside(t, insideRoutes()...)
	before := maps.Clone(in.routes)
	for want, routes := range tests {
		err := in.SetRoutes(routes)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
	if !maps.Equal(before, in.routes) {
		t.Error("refused routes changed the table")
	}
	checkTables(t, in)
}

// A change that the kernel refuses is reported, and the loader still knows what
// the tables hold.
func TestSetRoutesAfterFailure(t *testing.T) {
	in := newInside(t, insideRoutes()...)
	if err := in.maps.Routes4.Freeze(); err != nil {
		t.Fatal(err)
	}
	err := in.SetRoutes(nil)
	if err == nil || errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("the error is %v, want that the table is frozen", err)
	}
	checkTables(t, in)
}

// longest is what a longest-prefix table answers.
func longest(table map[netip.Prefix]insideRoute, address netip.Addr) insideRoute {
	bits, answer := -1, insideRoute{}
	for prefix, route := range table {
		if prefix.Contains(address) && prefix.Bits() > bits {
			bits, answer = prefix.Bits(), route
		}
	}
	return answer
}

// While routes are exchanged, one by one, each address gets the answer from
// before or the one from after.
func TestRoutesChangeInOrder(t *testing.T) {
	table := func(entries ...string) map[netip.Prefix]insideRoute {
		table := make(map[netip.Prefix]insideRoute)
		for i := 0; i < len(entries); i += 2 {
			// The name of the answer stands in for a service set.
			table[netip.MustParsePrefix(entries[i])] = insideRoute{Services: uint32(entries[i+1][0])}
		}
		return table
	}
	tests := map[string][2]map[netip.Prefix]insideRoute{
		"a shorter route that passes more": {
			table("10.0.0.0/8", "a"),
			table("10.0.0.0/8", "b", "10.2.0.0/16", "a", "10.2.3.0/24", "c")},
		"nested routes go": {
			table("10.0.0.0/8", "a", "10.2.0.0/16", "b", "10.2.3.0/24", "c", "10.2.3.4/32", "d"),
			table("10.2.0.0/15", "e")},
		"nested routes change places": {
			table("10.0.0.0/8", "a", "10.2.3.0/24", "b", "10.2.3.4/32", "c"),
			table("10.0.0.0/8", "b", "10.2.0.0/16", "c", "10.2.3.4/32", "a")},
	}
	addresses := []netip.Addr{
		netip.MustParseAddr("10.1.0.0"), netip.MustParseAddr("10.2.0.1"),
		netip.MustParseAddr("10.2.3.1"), netip.MustParseAddr("10.2.3.4"), netip.MustParseAddr("192.0.2.1"),
	}
	for name, test := range tests {
		before, after := test[0], test[1]
		now := maps.Clone(before)
		check := func(step string) {
			for _, address := range addresses {
				answer := longest(now, address)
				if answer != longest(before, address) && answer != longest(after, address) {
					t.Errorf("%s, %s: %v gets %c", name, step, address, rune(answer.Services))
				}
			}
		}
		for _, prefix := range additions(before, after) {
			now[prefix] = after[prefix]
			check("added " + prefix.String())
		}
		for _, prefix := range removals(now, after) {
			delete(now, prefix)
			check("removed " + prefix.String())
		}
		if !maps.Equal(now, after) {
			t.Errorf("%s: the table ends up different", name)
		}
	}
}
