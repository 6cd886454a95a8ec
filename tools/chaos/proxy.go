package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// weather is what all proxies do at a time.
type weather int32

const (
	calm     weather = iota // they pass on what comes
	storm                   // every connection has its fate
	blackout                // nobody gets through
)

// proxy stands between a Connect and its Bind, and does to their connections what the
// weather and their fate say.
type proxy struct {
	number   int
	seed     uint64
	sky      *atomic.Int32
	counts   *[kinds]atomic.Int64
	target   string
	impostor []string
	listener net.Listener
	all      sync.WaitGroup
	over     chan struct{}

	mu    sync.Mutex
	open  map[*net.TCPConn]struct{}
	ended bool
}

// startProxy listens on a port of the loopback.
func startProxy(number int, seed uint64, sky *atomic.Int32, counts *[kinds]atomic.Int64, target string, impostors []string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{number: number, seed: seed, sky: sky, counts: counts, target: target, impostor: impostors,
		listener: l, over: make(chan struct{}), open: map[*net.TCPConn]struct{}{}}
	p.all.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// close cuts everything and returns when nothing of the proxy runs any more.
func (p *proxy) close() {
	close(p.over)
	p.listener.Close()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.cutAll()
	p.all.Wait()
}

// cutAll resets every connection.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		reset(c)
	}
}

func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

func (p *proxy) weather() weather { return weather(p.sky.Load()) }

func (p *proxy) accept() {
	for connection := 0; ; connection++ {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			panic("chaos: a proxy cannot accept: " + err.Error())
		}
		fate := fateOf(p.seed, p.number, connection)
		p.all.Go(func() { p.carry(c.(*net.TCPConn), fate) })
	}
}

// keep has the connection cut with all others. It is false when all have been cut.
func (p *proxy) keep(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *proxy) leave(c *net.TCPConn) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	reset(c)
}

// carry is a connection from beginning to end.
func (p *proxy) carry(near *net.TCPConn, f fate) {
	defer p.leave(near)
	if !p.keep(near) {
		return
	}
	target := p.target
	switch p.weather() {
	case blackout:
		return
	case storm:
		if f.opening < kinds {
			p.counts[f.opening].Add(1)
		}
		switch f.opening {
		case refuse:
			return
		case silent:
			io.Copy(io.Discard, near) // until who has called loses patience
			return
		case impostor:
			target = p.impostor[f.directions[0][0].random%uint64(len(p.impostor))]
		}
	}
	c, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	far := c.(*net.TCPConn)
	defer p.leave(far)
	if !p.keep(far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pass(near, far, f.directions[0]) })
	both.Go(func() { p.pass(far, near, f.directions[1]) })
	both.Wait()
}

// pass passes on one direction, until it ends or something ends both.
func (p *proxy) pass(from, to *net.TCPConn, faults []fault) {
	piece := make([]byte, 32<<10)
	var passed int64
	late, lateness := 0, time.Duration(0)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			out := piece[:n]
			for passed += int64(n); len(faults) > 0 && faults[0].at < passed; faults = faults[1:] {
				f := faults[0]
				if p.weather() != storm || len(out) == 0 {
					continue // it was to happen now, and does not
				}
				p.counts[f.kind].Add(1)
				switch f.kind {
				case cut:
					reset(from)
					reset(to)
					return
				case end:
					to.CloseWrite()
					io.Copy(io.Discard, from)
					return
				case stall:
					p.sleep(f.lasts)
				case slow:
					late, lateness = f.length, f.lasts/100
				default:
					out = f.spoil(out)
				}
			}
			if late > 0 {
				late--
				p.sleep(lateness)
			}
			if _, err := to.Write(out); err != nil {
				reset(from)
				return
			}
		}
		if err == io.EOF {
			to.CloseWrite()
			return
		}
		if err != nil {
			reset(to)
			return
		}
	}
}

// sleep sleeps, but not over the proxy's end.
func (p *proxy) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.over:
	}
}
