package relay

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// echo is a program that sends back what it gets, on any number of connections.
func echo(t *testing.T, at string) {
	t.Helper()
	l, err := net.Listen("tcp", strings.TrimPrefix(at, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	pool := new(zmtp.Pool)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				ctx := context.Background()
				n, err := zmtp.OpenNull(ctx, nc, zmtp.NullOptions{Pool: pool})
				if err != nil {
					return
				}
				defer n.Close()
				if _, err := n.ReadReady(ctx); err != nil || n.WriteReady(ctx, pairReady()) != nil {
					return
				}
				for {
					m, err := n.ReadMessage()
					if err != nil || n.WriteMessage(m.Parts...) != nil {
						return
					}
				}
			}()
		}
	}()
}

// open opens connections through a chain, so many at a time, and has each say a word.
func (c *chain) open(count, atOnce int) (opened []*zmtp.Null) {
	c.t.Helper()
	front, err := ParseEndpoint(c.front)
	if err != nil {
		c.t.Fatal(err)
	}
	pool := new(zmtp.Pool)
	opened = make([]*zmtp.Null, count)
	var all sync.WaitGroup
	for w := range atOnce {
		all.Go(func() {
			for i := w; i < count; i += atOnce {
				n, err := openPlain(front, pool)
				if err == nil {
					err = n.WriteMessage([]byte("word"))
				}
				if err == nil {
					_, err = n.ReadMessage()
				}
				if err != nil {
					c.t.Errorf("connection %d: %v", i, err)
					return
				}
				opened[i] = n
			}
		})
	}
	all.Wait()
	return opened
}

func openPlain(at Endpoint, pool *zmtp.Pool) (*zmtp.Null, error) {
	ctx := context.Background()
	nc, err := at.dial(ctx)
	if err != nil {
		return nil, err
	}
	n, err := zmtp.OpenNull(ctx, nc, zmtp.NullOptions{Pool: pool})
	if err == nil {
		err = n.WriteReady(ctx, pairReady())
	}
	if err == nil {
		_, err = n.ReadReady(ctx)
	}
	return n, err
}

// What an idle connection costs a relay.
func TestIdleConnections(t *testing.T) {
	const count = 1000
	c := newChain(t, "tcp")
	echo(t, c.back)
	for _, n := range c.open(50, 8) { // so that the pools and the heap are as they are in use
		n.Close()
	}
	time.Sleep(time.Second)
	before := map[string]int{"near": c.near.rss(), "far": c.far.rss()}
	opened := c.open(count, 8)
	if t.Failed() {
		return
	}
	time.Sleep(500 * time.Millisecond)
	for name, p := range map[string]*process{"near": c.near, "far": c.far} {
		each := (p.rss() - before[name]) / count
		t.Logf("%s relay: %.1f KB for each idle connection, %d MiB in all", name, float64(each)/1000, p.rss()>>20)
		if each > 100_000 {
			t.Errorf("an idle connection costs the %s relay %d bytes", name, each)
		}
	}
	for _, n := range opened {
		n.Close()
	}
}

// Connections that come and go leave nothing behind.
func TestNothingStays(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("descriptors are counted in /proc")
	}
	c := newChain(t, "tcp")
	echo(t, c.back)
	round := func() {
		for _, n := range c.open(300, 8) {
			if n != nil {
				n.Close()
			}
		}
	}
	settle := func() (files, threads, rss [2]int) {
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			for i, p := range []*process{c.near, c.far} {
				files[i], threads[i], rss[i] = p.files(), p.threads(), p.rss()
			}
			if files[0] < 30 && files[1] < 30 {
				break
			}
		}
		return
	}
	round()
	round()
	files, _, rss := settle()
	// The collector's moment decides how much memory there is, so that it may grow once or
	// twice; what is never given back makes it grow every time.
	for left := 3; left > 0; left-- {
		for range 4 {
			round()
		}
		filesAfter, threads, rssAfter := settle()
		t.Logf("descriptors %v, then %v; memory %v KiB, then %v KiB; threads %v", files, filesAfter, kib(rss), kib(rssAfter), threads)
		for i := range files {
			if filesAfter[i] > files[i]+2 {
				t.Fatalf("descriptors were %v and are %v", files, filesAfter)
			}
		}
		const much = 8 << 20
		if rssAfter[0] <= rss[0]+much && rssAfter[1] <= rss[1]+much {
			return
		}
		rss = rssAfter
	}
	t.Error("memory grows with every round of connections")
}

func kib(n [2]int) [2]int { return [2]int{n[0] >> 10, n[1] >> 10} }

func (p *process) files() int {
	p.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(list)
}

func (p *process) threads() int {
	p.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(list)
}

// A relay takes the hard limit of descriptors by itself and says what that is good for;
// without any left it refuses nobody who is there, and goes on when there are some again.
func TestDescriptors(t *testing.T) {
	c := newChain(t, "tcp")
	echo(t, c.back)
	c.far.kill()
	under := func(limits string) {
		c.far = spawn(t, exec.Command("sh", append([]string{"-c", limits + ` && exec qzmqctl "$@"`, "sh"}, c.farFlags...)...))
		for end := time.Now().Add(10 * time.Second); !strings.Contains(c.far.stderr(), "relay started"); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(c.far.stderr())
			}
		}
	}
	under("ulimit -Sn 64 && ulimit -Hn 200")
	// Go itself raises the soft limit when a program starts, to one less.
	if !strings.Contains(c.far.stderr(), "descriptors=199 most_connections=99") {
		t.Errorf("it says %s", c.far.stderr())
	}
	var held []*zmtp.Null
	for range 60 {
		n := c.served()
		if n == nil {
			t.Fatalf("%d connections are served", len(held))
		}
		held = append(held, n)
	}
	for _, n := range held {
		n.Close()
	}
	c.far.kill()

	under("ulimit -n 40")
	at, err := ParseEndpoint(c.front)
	if err != nil {
		t.Fatal(err)
	}
	first := c.served()
	if first == nil {
		t.Fatal("nobody is served")
	}
	var waiting []net.Conn
	for range 60 {
		nc, err := at.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nc.Write(append(greetingOf(3, "NULL", 0), command("READY", "\x0bSocket-Type\x00\x00\x00\x04PAIR")...))
		waiting = append(waiting, nc)
	}
	for end := time.Now().Add(10 * time.Second); !strings.Contains(c.far.stderr(), "too many open files"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("60 connections have room in 40 descriptors: %s", c.far.stderr())
		}
	}
	if err := first.WriteMessage([]byte("still there")); err != nil {
		t.Fatal(err)
	}
	first.SetReadDeadline(time.Now().Add(5 * time.Second))
	if m, err := first.ReadMessage(); err != nil || string(m.Parts[0]) != "still there" {
		t.Errorf("who was there: %v, %v", m, err)
	}
	for _, nc := range waiting {
		nc.Close()
	}
	for end := time.Now().Add(20 * time.Second); c.served() == nil; {
		if time.Now().After(end) {
			t.Fatalf("nobody is served again: %s", c.far.stderr())
		}
	}
	if n := strings.Count(c.far.stderr(), "\n"); n > 12 {
		t.Errorf("the log has %d lines: %s", n, c.far.stderr())
	}
}
