package zmtp

import (
	"net"
	"net/netip"
	"sync"
)

// Places bounds the connections that are on their way to become sessions, in all and
// from one IPv4 address or IPv6 /64: whoever says too little leaves room for others.
// Any goroutine may use it.
type Places struct {
	most, perSource int

	mu    sync.Mutex
	taken map[netip.Prefix]int
	all   int
}

// NewPlaces makes so many places, of which one source has at most perSource.
func NewPlaces(most, perSource int) *Places {
	return &Places{most: most, perSource: perSource, taken: map[netip.Prefix]int{}}
}

// Enter takes a place, unless there is none. Whoever has one leaves once.
func (p *Places) Enter(nc net.Conn) (leave func(), ok bool) {
	source := prefixOf(nc)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= p.most || p.taken[source] >= p.perSource {
		return nil, false
	}
	p.all++
	p.taken[source]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.taken[source]--; p.taken[source] == 0 {
			delete(p.taken, source)
		}
	}, true
}

// Taken is how many places are.
func (p *Places) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

// prefixOf is what counts as one source. Callers at a unix socket are all one.
func prefixOf(nc net.Conn) netip.Prefix {
	a, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := a.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		panic("zmtp: an address does not have its bits: " + err.Error())
	}
	return prefix
}
