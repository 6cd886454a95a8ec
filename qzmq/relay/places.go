package relay

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

const (
	// mostHandshakes is how many connections may be on their way to come up. One more
	// is closed at once.
	mostHandshakes = 1024
	// mostOfSource is how many of them may be from one IPv4 address or IPv6 /64, where
	// a relay listens sealed: whoever says too little leaves room for others. Plain
	// programs are on this host or near it, and all may start at once.
	mostOfSource = mostHandshakes / 8
)

// places counts the connections that are on their way. Any goroutine may use it.
type places struct {
	perSource int
	coming    *atomic.Int64

	mu    sync.Mutex
	taken map[netip.Prefix]int
	all   int
}

func newPlaces(perSource int, coming *atomic.Int64) *places {
	return &places{perSource: perSource, coming: coming, taken: map[netip.Prefix]int{}}
}

// enter takes a place, unless there is none. Whoever has one leaves once.
func (p *places) enter(nc net.Conn) (leave func(), ok bool) {
	source := prefixOf(nc)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= mostHandshakes || p.taken[source] >= p.perSource {
		return nil, false
	}
	p.all++
	p.taken[source]++
	p.coming.Add(1)
	return func() {
		p.coming.Add(-1)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.taken[source]--; p.taken[source] == 0 {
			delete(p.taken, source)
		}
	}, true
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
		panic("relay: an address does not have its bits: " + err.Error())
	}
	return prefix
}
