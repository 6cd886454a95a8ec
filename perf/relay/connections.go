package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// connections holds many that say nothing, and then has many come and go.
func (b *bench) connections(s *sheet.Sheet) error {
	l, err := net.Listen("tcp", "127.0.0.1:"+b.back)
	if err != nil {
		return err
	}
	defer l.Close()
	pool := new(zmtp.Pool)
	go b.echo(l, pool)
	if err := b.idling(s, pool); err != nil {
		return err
	}
	return b.churn(s, pool)
}

// echo is the program behind the far relay.
func (b *bench) echo(l net.Listener, pool *zmtp.Pool) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			n, err := ready(b.ctx, nc, pool)
			if err != nil {
				return
			}
			defer n.Close()
			for {
				m, err := n.ReadMessage()
				if err != nil || n.WriteMessage(m.Parts...) != nil {
					return
				}
			}
		}()
	}
}

func (b *bench) idling(s *sheet.Sheet, pool *zmtp.Pool) (err error) {
	relays := map[string]*exec.Cmd{"near": b.near, "far": b.far}
	before := map[string]float64{}
	for name, c := range relays {
		if before[name], err = resident(c); err != nil {
			return err
		}
	}
	began := time.Now()
	open, err := b.open(pool)
	took := time.Since(began)
	defer func() {
		for _, n := range open {
			n.Close()
		}
	}()
	if err != nil {
		return fmt.Errorf("%d idle connections: %w", b.idle, err)
	}
	time.Sleep(2 * time.Second)
	for name, c := range relays {
		now, err := resident(c)
		if err != nil {
			return err
		}
		s.Row(sheet.Memory, fmt.Sprintf("%s relay, each of %d idle connections", name, b.idle), "KB", sheet.Below(100, 32)).
			Add((now - before[name]) / float64(b.idle) / 1000)
	}
	s.Plain(sheet.Rates, "connections that come up, handshakes resumed or whole", "1/s").Add(float64(b.idle) / took.Seconds())
	return nil
}

// open opens all idle connections, some at a time.
func (b *bench) open(pool *zmtp.Pool) (open []*zmtp.Null, err error) {
	const atOnce = 16
	var mu sync.Mutex
	var all sync.WaitGroup
	for w := range atOnce {
		all.Go(func() {
			for i := w; i < b.idle; i += atOnce {
				var n *zmtp.Null
				nc, failed := net.Dial("tcp", "127.0.0.1:"+b.front)
				if failed == nil {
					n, failed = ready(b.ctx, nc, pool)
				}
				mu.Lock()
				if failed == nil {
					open = append(open, n)
				} else {
					err = failed
				}
				mu.Unlock()
				if failed != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return open, err
}

// churn opens connections, has each say a word and closes it, as fast as they come up;
// then it looks what is left of them in the relays.
func (b *bench) churn(s *sheet.Sheet, pool *zmtp.Pool) error {
	const atOnce = 16
	turn := func() error {
		nc, err := net.Dial("tcp", "127.0.0.1:"+b.front)
		if err != nil {
			return err
		}
		n, err := ready(b.ctx, nc, pool)
		if err == nil {
			err = n.WriteMessage([]byte("word"))
		}
		if err == nil {
			_, err = n.ReadMessage()
		}
		nc.Close()
		return err
	}
	rounds := func(d time.Duration) (count float64, err error) {
		var mu sync.Mutex
		var all sync.WaitGroup
		end := time.Now().Add(d)
		for range atOnce {
			all.Go(func() {
				for time.Now().Before(end) {
					failed := turn()
					mu.Lock()
					count, err = count+1, errors.Join(err, failed)
					mu.Unlock()
					if failed != nil {
						return
					}
				}
			})
		}
		all.Wait()
		return count, err
	}
	// What a relay takes once, it takes in the first seconds.
	if _, err := rounds(b.churns / 10); err != nil {
		return fmt.Errorf("connections that come and go: %w", err)
	}
	before, err := b.left()
	if err != nil {
		return err
	}
	began := time.Now()
	count, err := rounds(b.churns)
	if err != nil {
		return fmt.Errorf("connections that come and go: %w", err)
	}
	s.Row(sheet.Rates, fmt.Sprintf("connections opened and closed, over %v", b.churns), "1/s", sheet.AtLeast(1000)).
		Add(count / time.Since(began).Seconds())
	after, err := b.left()
	if err != nil {
		return err
	}
	s.Row(sheet.Memory, "descriptors of both relays, after these beside before", "", sheet.AtMost(1.1)).Add(after.files / before.files)
	s.Row(sheet.Memory, "memory of both relays, after these beside before", "", sheet.AtMost(1.2)).Add(after.bytes / before.bytes)
	return nil
}

// remains is what both relays hold.
type remains struct{ files, bytes float64 }

// left gives that when the last connections have gone.
func (b *bench) left() (r remains, err error) {
	time.Sleep(2 * time.Second)
	for _, c := range []*exec.Cmd{b.near, b.far} {
		bytes, err1 := resident(c)
		files, err2 := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.Process.Pid))
		if err := errors.Join(err1, err2); err != nil {
			return r, err
		}
		r.files += float64(len(files))
		r.bytes += bytes
	}
	return r, nil
}

// ready opens a plain connection to its end, from either side.
func ready(ctx context.Context, nc net.Conn, pool *zmtp.Pool) (*zmtp.Null, error) {
	n, err := zmtp.OpenNull(ctx, nc, zmtp.NullOptions{Pool: pool})
	if err == nil {
		err = n.WriteReady(ctx, zmtp.Metadata{{Name: "Socket-Type", Value: []byte("PAIR")}})
	}
	if err == nil {
		_, err = n.ReadReady(ctx)
	}
	return n, err
}
