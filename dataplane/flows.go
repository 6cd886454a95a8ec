package dataplane

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
	addr address
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

func (f *flows) of(a address) *flow {
	e := &f.entries[(a.high^a.low)*0x9e3779b97f4a7c15>>(64-flowBits)] // 2^64 / golden ratio
	if e.addr != a {
		f.look(a, e)
	}
	return e
}

func (f *flows) look(a address, e *flow) {
	addr := a.addr()
	link, _ := f.tables.routes.Lookup(addr)
	*e = flow{addr: a, link: link, hop: f.tables.hops[addr]}
}
