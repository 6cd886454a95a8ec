package main_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"
)

// flow is a steady stream of numbered datagrams from one host to the other and
// back. Unlike ping, which ends without waiting for late answers, it knows
// exactly what was lost.
type flow struct {
	b        *testbed
	conn     *net.UDPConn
	stop     chan struct{}
	stopped  chan struct{}
	sent     int
	mu       sync.Mutex
	returned map[uint64]int // how often, by number
}

const flowPort = 7000

// flow starts a flow of so many datagrams a second.
func (b *testbed) flow(from, to site, perSecond int) *flow {
	b.t.Helper()
	listen := func(s site, port uint16) (conn *net.UDPConn) {
		err := b.enter(s.host, func() (err error) {
			at := netip.AddrPortFrom(netip.MustParseAddr(s.host4), port)
			conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
			return err
		})
		if err != nil {
			b.t.Fatalf("open a socket in %s: %v", s.host, err)
		}
		b.t.Cleanup(func() { conn.Close() })
		return conn
	}
	echo := listen(to, flowPort)
	go func() {
		room := make([]byte, 2048)
		for {
			n, from, err := echo.ReadFromUDPAddrPort(room)
			if err != nil {
				return
			}
			echo.WriteToUDPAddrPort(room[:n], from) // what is lost here counts as lost
		}
	}()
	f := &flow{b: b, conn: listen(from, 0), stop: make(chan struct{}), stopped: make(chan struct{}), returned: map[uint64]int{}}
	go f.receive()
	go f.send(netip.AddrPortFrom(netip.MustParseAddr(to.host4), flowPort), time.Second/time.Duration(perSecond))
	return f
}

func (f *flow) send(to netip.AddrPort, every time.Duration) {
	defer close(f.stopped)
	tick := time.NewTicker(every)
	defer tick.Stop()
	datagram := make([]byte, 200)
	for {
		select {
		case <-f.stop:
			return
		case <-f.b.ctx.Done():
			return
		case <-tick.C:
		}
		binary.BigEndian.PutUint64(datagram, uint64(f.sent))
		f.sent++
		f.conn.WriteToUDPAddrPort(datagram, to)
	}
}

func (f *flow) receive() {
	room := make([]byte, 2048)
	for {
		n, _, err := f.conn.ReadFromUDPAddrPort(room)
		if err != nil {
			return
		}
		if n >= 8 {
			f.mu.Lock()
			f.returned[binary.BigEndian.Uint64(room)]++
			f.mu.Unlock()
		}
	}
}

// finish ends the flow and gives what was sent, what never came back although
// there were two seconds for it, and what came back more than once.
func (f *flow) finish() (sent, lost, doubled int) {
	close(f.stop)
	<-f.stopped
	for limit := time.Now().Add(2 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		f.mu.Lock()
		back := len(f.returned)
		f.mu.Unlock()
		if back == f.sent {
			break
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.returned {
		doubled += n - 1
	}
	return f.sent, f.sent - len(f.returned), doubled
}
