package controlplane

import (
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/qzmq/gateway/dataplane"
)

// destination is one address wanted on one side.
type destination struct {
	question
	via   *neighbour // nil while no route leads there
	hop   dataplane.Hop
	found bool      // hop is the answer
	until time.Time // while not found: when patience ends
}

type neighbourKey struct {
	link int
	addr netip.Addr
}

// neighbour is an entry of the kernel's table on an interface of ours, or one
// that we have asked the kernel to make.
type neighbour struct {
	neighbourKey
	mac   [6]byte
	state int       // NUD_..., NUD_NONE when the kernel has no such entry
	asked time.Time // when it was last solicited
	users map[*destination]struct{}
}

// usable reports whether the kernel itself would send to n.mac.
func (n *neighbour) usable() bool {
	const valid = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY |
		netlink.NUD_PROBE | netlink.NUD_PERMANENT | netlink.NUD_NOARP
	return n.state&valid != 0 && n.mac != [6]byte{}
}

// add takes a wanted address into the table. It reports false if there is no
// room for it now.
func (r *resolver) add(q question, now time.Time) bool {
	if len(r.table[q.side]) >= tableLimit {
		if q.side == outsideSide {
			return false
		}
		// Any other may be in less use than this one; if it is not, its next
		// packet brings it back.
		for _, d := range r.table[q.side] {
			r.drop(d)
			break
		}
	}
	d := &destination{question: q, until: now.Add(patience)}
	r.table[q.side][q.addr] = d
	r.open[q.side][d] = struct{}{}
	r.resolve(d, now)
	return true
}

// drop forgets a destination; it can be wanted anew.
func (r *resolver) drop(d *destination) {
	r.attach(d, nil)
	r.settle(d, time.Time{})
	delete(r.open[d.side], d)
	delete(r.review, d)
	delete(r.table[d.side], d.addr)
	r.mu.Lock()
	delete(r.known[d.side], d.addr)
	r.mu.Unlock()
}

// resolve looks up the way to d from the start.
func (r *resolver) resolve(d *destination, now time.Time) {
	delete(r.review, d)
	key, err := r.lookup(d.side, d.addr)
	if err != nil {
		r.log.Debug("no way to destination", "side", d.side, "address", d.addr, "error", err)
		r.attach(d, nil)
		r.settle(d, now)
		return
	}
	n := r.neighbours[key]
	if n == nil {
		n = &neighbour{neighbourKey: key}
		r.neighbours[key] = n
	}
	r.attach(d, n)
	r.settle(d, now)
	switch {
	case n.usable():
		r.confirm(n, now)
	case now.Sub(n.asked) >= time.Second: // many destinations, one router
		r.ask(n, now)
	}
}

// attach makes n the neighbour of d; one that nobody uses and the kernel does
// not have is forgotten.
func (r *resolver) attach(d *destination, n *neighbour) {
	old := d.via
	if old == n {
		return
	}
	if d.via = n; n != nil {
		if n.users == nil {
			n.users = make(map[*destination]struct{})
		}
		n.users[d] = struct{}{}
	}
	if old != nil {
		delete(old.users, d)
		r.tidy(old)
	}
}

func (r *resolver) tidy(n *neighbour) {
	if n.state == netlink.NUD_NONE && len(n.users) == 0 {
		delete(r.neighbours, n.neighbourKey)
	}
}

// settle works out d's hop from its neighbour as it is known now.
func (r *resolver) settle(d *destination, now time.Time) {
	var hop dataplane.Hop
	found := false
	if n := d.via; n != nil && n.usable() {
		if e, ok := r.links.Load().egress[n.link]; ok && e.up {
			hop, found = dataplane.NewHop(n.mac, e.mac, e.vlans[:e.tags]...), true
		}
	}
	if found == d.found && hop == d.hop {
		return
	}
	if found {
		delete(r.open[d.side], d)
	} else {
		d.until = now.Add(patience)
		r.open[d.side][d] = struct{}{}
	}
	d.hop, d.found = hop, found
	r.altered[d.side] = true
}

// confirm has the kernel probe a neighbour that we use and it takes for unused,
// and reports whether that was necessary.
func (r *resolver) confirm(n *neighbour, now time.Time) bool {
	if n.state != netlink.NUD_STALE || now.Sub(n.asked) < confirmEvery {
		return false
	}
	r.ask(n, now)
	return true
}

// ask solicits n. A failure needs no care of its own: those who wait for the
// answer run out of patience as they would with a silent neighbour.
func (r *resolver) ask(n *neighbour, now time.Time) {
	n.asked = now
	if err := r.solicit(n.neighbourKey); err != nil {
		r.log.Debug("neighbour cannot be asked for", "interface", n.link, "error", err)
	}
}

// hearNeighbour takes in the state of a neighbour as the kernel gives it.
func (r *resolver) hearNeighbour(k *netlink.Neigh, gone bool) {
	addr, ok := netip.AddrFromSlice(k.IP)
	if !ok || k.Flags&netlink.NTF_PROXY != 0 || (k.Family != unix.AF_INET && k.Family != unix.AF_INET6) {
		return // a bridge's entry, or an address the kernel answers for itself
	}
	key := neighbourKey{k.LinkIndex, addr}
	n := r.neighbours[key]
	if n == nil {
		if _, ours := r.links.Load().egress[k.LinkIndex]; !ours || gone {
			return
		}
		n = &neighbour{neighbourKey: key}
		r.neighbours[key] = n
	}
	var mac [6]byte
	copy(mac[:], k.HardwareAddr)
	if gone || len(k.HardwareAddr) != len(mac) {
		mac = [6]byte{}
	}
	state := k.State
	if gone {
		state = netlink.NUD_NONE
	}
	r.update(n, mac, state)
}

// update settles everyone who uses n. A neighbour that was lost is asked for
// once more at once, because the kernel gives up a known one after probes to
// its old address alone; the new question goes to everybody.
func (r *resolver) update(n *neighbour, mac [6]byte, state int) {
	now := time.Now()
	was := n.usable()
	n.mac, n.state = mac, state
	for d := range n.users {
		r.settle(d, now)
	}
	if was && !n.usable() && len(n.users) > 0 {
		r.ask(n, now)
	}
	r.tidy(n)
}

// syncNeighbours reads the kernel's whole table and makes ours agree with it.
func (r *resolver) syncNeighbours() error {
	list, err := whole(func() ([]netlink.Neigh, error) {
		return r.handle.NeighList(0, netlink.FAMILY_ALL)
	})
	if err != nil {
		return err
	}
	there := make(map[neighbourKey]bool, len(list))
	for i := range list {
		if addr, ok := netip.AddrFromSlice(list[i].IP); ok {
			there[neighbourKey{list[i].LinkIndex, addr}] = true
		}
		r.hearNeighbour(&list[i], false)
	}
	for key, n := range r.neighbours {
		if !there[key] && n.state != netlink.NUD_NONE {
			r.update(n, [6]byte{}, netlink.NUD_NONE)
		}
	}
	return nil
}
