package dataplane

import (
	"encoding/binary"
	"net/netip"
)

const flowBits = 10

// flows remembers what the tables say of the addresses that a worker has seen
// last: packets come in trains, and one look here costs a fifth of what the
// look-ups of route and next hop cost. It is as right as the tables: when they
// change it is emptied. Addresses that a stranger chooses to fall on one entry
// cost what they would cost without it.
type flows struct {
	tables  *tables
	entries [1 << flowBits]flow
}

// flow is what is known of one address.
type flow struct {
	addr netip.Addr
	link *Link // whose routes hold it; nil: none
	hop  Hop   // the inside next hop; of length 0: none is known
}

// use makes the following look-ups answer from t.
func (f *flows) use(t *tables) {
	if f.tables != t {
		f.tables = t
		clear(f.entries[:])
	}
}

func (f *flows) of(a netip.Addr) *flow {
	b := a.As16()
	mixed := (binary.LittleEndian.Uint64(b[8:]) ^ binary.LittleEndian.Uint64(b[:])) * 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	e := &f.entries[mixed>>(64-flowBits)]
	if e.addr != a {
		link, _ := f.tables.routes.Lookup(a)
		*e = flow{addr: a, link: link, hop: f.tables.hops[a]}
	}
	return e
}
