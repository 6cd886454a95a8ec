package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// MaxRoutes is how many routes of each address family SetRoutes accepts. The
// kernel's tables hold twice as many.
const MaxRoutes = 4096

// Range is a range of ports, both ends included.
type Range struct{ First, Last uint16 }

// Route says what happens to packets for a network. Of several routes that hold
// a destination the longest decides, alone.
type Route struct {
	Prefix netip.Prefix
	// Local leaves packets to the kernel: the gateway's own addresses, connected
	// networks, multicast and link-local ones. Whoever protects everything must
	// name these too, or the gateway loses its neighbours.
	Local bool
	// Services are the ports that are protected, at either end of a TCP, UDP or
	// SCTP flow. nil protects everything.
	Services []Range
	// OtherDrop drops what no service names, instead of leaving it to the kernel.
	OtherDrop bool
}

// rule is a checked Route, its services not yet in the kernel.
type rule struct {
	route    insideRoute
	services []Range // sorted, without overlap; empty: all
}

// table is what the inside programs decide by. It belongs to one goroutine.
type table struct {
	maps    insideMaps
	routes  map[netip.Prefix]insideRoute // what the kernel's tables hold
	sets    map[string]uint32            // service sets in use, by what they contain
	lastSet uint32                       // the one given out last
}

func newTable(maps insideMaps) table {
	return table{maps: maps, routes: make(map[netip.Prefix]insideRoute), sets: make(map[string]uint32)}
}

// SetRoutes makes the tables hold exactly these routes. While they are
// exchanged every destination is treated as before or as after, never as
// neither: unchanged routes stay in place, a shorter route never shows through
// where a longer one is about to be.
//
// A set of routes that contradicts itself changes nothing. If the kernel
// refuses a change half way the rest stays as it was; call again with the
// routes wanted. At most 511 different lists of services fit, those before and
// those after the change taken together.
func (t *table) SetRoutes(routes []Route) error {
	rules, err := compile(routes)
	if err != nil {
		return fmt.Errorf("set routes: %w", err)
	}

	// Service sets are complete before the first route names them, and forgotten
	// when the last route has let go.
	defer t.forgetSets()
	wanted, err := t.storeServices(rules)
	if err != nil {
		return fmt.Errorf("set routes: %w", err)
	}

	for _, prefix := range additions(t.routes, wanted) {
		if err := t.putRoute(prefix, wanted[prefix]); err != nil {
			return fmt.Errorf("set route %v: %w", prefix, err)
		}
		t.routes[prefix] = wanted[prefix]
	}
	for _, prefix := range removals(t.routes, wanted) {
		if err := t.deleteRoute(prefix); err != nil {
			return fmt.Errorf("remove route %v: %w", prefix, err)
		}
		delete(t.routes, prefix)
	}
	return nil
}

// additions lists the routes that are new or different, longest first. When a
// route appears, all longer ones that are to cover parts of it are there.
func additions(have, want map[netip.Prefix]insideRoute) []netip.Prefix {
	var prefixes []netip.Prefix
	for prefix, route := range want {
		if old, ok := have[prefix]; !ok || old != route {
			prefixes = append(prefixes, prefix)
		}
	}
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int { return cmp.Compare(b.Bits(), a.Bits()) })
	return prefixes
}

// removals lists the routes that are no longer wanted, shortest first. When a
// route goes, no other one on its way out is left beneath to show through.
func removals(have, want map[netip.Prefix]insideRoute) []netip.Prefix {
	var prefixes []netip.Prefix
	for prefix := range have {
		if _, ok := want[prefix]; !ok {
			prefixes = append(prefixes, prefix)
		}
	}
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int { return cmp.Compare(a.Bits(), b.Bits()) })
	return prefixes
}

func (t *table) putRoute(prefix netip.Prefix, route insideRoute) error {
	if prefix.Addr().Is4() {
		return t.maps.Routes4.Put(key4(prefix), route)
	}
	return t.maps.Routes6.Put(key6(prefix), route)
}

func (t *table) deleteRoute(prefix netip.Prefix) error {
	if prefix.Addr().Is4() {
		return t.maps.Routes4.Delete(key4(prefix))
	}
	return t.maps.Routes6.Delete(key6(prefix))
}

func key4(prefix netip.Prefix) insidePrefix4 {
	return insidePrefix4{Bits: uint32(prefix.Bits()), Address: prefix.Addr().As4()}
}

func key6(prefix netip.Prefix) insidePrefix6 {
	return insidePrefix6{Bits: uint32(prefix.Bits()), Address: prefix.Addr().As16()}
}

// storeServices gives every rule the number of its service set, and writes the
// sets that the kernel does not have yet.
func (t *table) storeServices(rules map[netip.Prefix]rule) (map[netip.Prefix]insideRoute, error) {
	wanted := make(map[netip.Prefix]insideRoute, len(rules))
	for prefix, rule := range rules {
		route := rule.route
		if len(rule.services) > 0 {
			set, err := t.storeSet(rule.services)
			if err != nil {
				return nil, fmt.Errorf("store the services of %v: %w", prefix, err)
			}
			route.Services = set
		}
		wanted[prefix] = route
	}
	return wanted, nil
}

func (t *table) storeSet(services []Range) (uint32, error) {
	name := setName(services)
	if set, ok := t.sets[name]; ok {
		return set, nil
	}
	set, err := t.freeSet()
	if err != nil {
		return 0, err
	}
	if err := t.maps.Services.Put(set, bitmap(services)); err != nil {
		return 0, err
	}
	t.sets[name] = set
	t.lastSet = set
	return set, nil
}

// freeSet goes round, so that a number that was just given up, and that a CPU
// in the middle of a packet may still hold, comes last.
func (t *table) freeSet() (uint32, error) {
	taken := make(map[uint32]bool, len(t.sets))
	for _, set := range t.sets {
		taken[set] = true
	}
	size := t.maps.Services.MaxEntries()
	for step := uint32(1); step < size; step++ {
		// Number 0 means that there is no set.
		if set := (t.lastSet+step-1)%(size-1) + 1; !taken[set] {
			return set, nil
		}
	}
	return 0, fmt.Errorf("more than %d different lists of services", size-1)
}

// forgetSets frees the service sets that no route in the kernel names.
func (t *table) forgetSets() {
	used := make(map[uint32]bool, len(t.sets))
	for _, route := range t.routes {
		used[route.Services] = true
	}
	for name, set := range t.sets {
		if !used[set] {
			delete(t.sets, name)
		}
	}
}

// compile checks the routes and writes them as the program reads them.
func compile(routes []Route) (map[netip.Prefix]rule, error) {
	rules := make(map[netip.Prefix]rule, len(routes))
	var count4, count6 int

	for _, route := range routes {
		if !route.Prefix.IsValid() || route.Prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("%v is not a network", route.Prefix)
		}
		prefix := route.Prefix.Masked()
		compiled, err := route.compile()
		if err != nil {
			return nil, fmt.Errorf("route %v: %w", prefix, err)
		}
		if before, ok := rules[prefix]; ok {
			if before.route != compiled.route || !slices.Equal(before.services, compiled.services) {
				return nil, fmt.Errorf("route %v: it is there twice, with different meanings", prefix)
			}
			continue
		}
		rules[prefix] = compiled
		if prefix.Addr().Is4() {
			count4++
		} else {
			count6++
		}
	}
	if max(count4, count6) > MaxRoutes {
		return nil, fmt.Errorf("%d IPv4 and %d IPv6 routes, at most %d of each are possible", count4, count6, MaxRoutes)
	}
	return rules, nil
}

func (r Route) compile() (rule, error) {
	if r.Local {
		if r.Services != nil || r.OtherDrop {
			return rule{}, errors.New("a local route has no services")
		}
		return rule{route: insideRoute{Action: insideActionROUTE_LOCAL}}, nil
	}
	if r.Services == nil {
		return rule{route: insideRoute{Action: insideActionROUTE_PROTECT}}, nil
	}
	// Not the same as nil, and too likely a mistake: it would protect nothing.
	if len(r.Services) == 0 {
		return rule{}, errors.New("its list of services is empty")
	}
	services, err := merge(r.Services)
	if err != nil {
		return rule{}, err
	}
	other := insideOtherOTHER_PASS
	if r.OtherDrop {
		other = insideOtherOTHER_DROP
	}
	return rule{
		route:    insideRoute{Action: insideActionROUTE_PROTECT, Other: other},
		services: services,
	}, nil
}

// merge sorts ranges and joins those that touch, so that equal sets look equal.
func merge(ranges []Range) ([]Range, error) {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return cmp.Compare(a.First, b.First) })

	merged := sorted[:0]
	for _, r := range sorted {
		if r.First > r.Last {
			return nil, fmt.Errorf("port range %d-%d is backwards", r.First, r.Last)
		}
		if n := len(merged); n > 0 && int(r.First) <= int(merged[n-1].Last)+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged, nil
}

func setName(services []Range) string {
	var name strings.Builder
	for _, r := range services {
		fmt.Fprintf(&name, "%d-%d ", r.First, r.Last)
	}
	return name.String()
}

func bitmap(services []Range) *insideServices {
	var set insideServices
	for _, r := range services {
		for port := int(r.First); port <= int(r.Last); port++ {
			set.Word[port/64] |= 1 << (port % 64)
		}
	}
	return &set
}
