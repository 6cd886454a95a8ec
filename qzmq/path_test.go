package qzmq

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// path is a TCP connection's way through the test, which can be cut, or frozen.
type path struct {
	l      net.Listener
	target string
	mu     sync.Mutex
	conns  []net.Conn
	frozen bool
	spoilt bool // the next bytes will be
	thaw   *sync.Cond
}

func newPath(t testing.TB, target string) (*path, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &path{l: l, target: strings.TrimPrefix(target, "tcp://")}
	p.thaw = sync.NewCond(&p.mu)
	go p.run()
	t.Cleanup(func() { l.Close(); p.freeze(false); p.cut() })
	return p, "tcp://" + l.Addr().String()
}

func (p *path) run() {
	for {
		near, err := p.l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			near.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, near, far)
		p.mu.Unlock()
		go p.carry(near, far)
		go p.carry(far, near)
	}
}

func (p *path) carry(from, to net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		for p.frozen {
			p.thaw.Wait()
		}
		if p.spoilt && n > 0 {
			p.spoilt = false
			b[n/2] ^= 0x10
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	to.Close()
	from.Close()
}

func (p *path) freeze(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = yes
	p.thaw.Broadcast()
}

func (p *path) corrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoilt = true
}

func (p *path) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range p.conns {
		nc.Close()
	}
	p.conns = nil
}
