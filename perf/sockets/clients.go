package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq"
)

const (
	measureNow = "measure"
	settle     = 2 * time.Second // between the last handshake and the look at the memory
	atOnce     = 64              // clients that connect at the same time
)

// manyClients connects thousands of clients to one ROUTER, each with a key, a session
// and a socket of its own. All of them ask, and are answered, as they come, and once
// more all at the same time.
func (b *bench) manyClients(s *sheet.Sheet) error {
	n := b.clients
	if most := mostClients(); most < n {
		s.Missing(fmt.Sprintf("ROUTER with %d clients", n), fmt.Sprintf("a process may have descriptors for %d", most))
		n = most
	}
	f, err := b.exchange(b.contenders[0], "router", nil, "fleet", strconv.Itoa(n))
	if err != nil {
		return err
	}
	if len(f.Bound) != 2 || len(f.Connected) != 3 {
		return fmt.Errorf("router and fleet print %v and %v", f.Bound, f.Connected)
	}
	what := fmt.Sprintf("ROUTER, %d clients", n)
	s.Row(sheet.Memory, what+", resident memory for each", "KB", sheet.Below(100, 48)).Add(f.Bound[0] / 1000)
	s.Row(sheet.Rates, what+", of which are answered", "%", sheet.AtLeast(100)).Add(100 * f.Connected[0] / float64(n))
	s.Plain(sheet.Rates, what+", connected and answered as they come", "1/s").Add(float64(n) / f.Connected[1])
	s.Plain(sheet.Rates, what+", answered when all ask at once", "1/s").Add(float64(n) / f.Connected[2])
	return nil
}

// mostClients is how many descriptors a process may have, but for some for itself.
func mostClients() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		panic("sockets: no limit of descriptors: " + err.Error())
	}
	return int(min(limit.Max, 1<<30)) - 100
}

// fleet is all clients in one process. It prints how many were answered both times, and
// how long each time took. Go programs have the most descriptors they may have.
func fleet(l library, address, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	bound, _, err := l.keys()
	if err != nil {
		return err
	}
	clients, failed := make([]qzmq.Socket, n), make([]error, n)
	began := time.Now()
	work(n, func(i int) {
		if clients[i], failed[i] = client(bound.Fingerprint(), address); failed[i] == nil {
			failed[i] = ask(clients[i], strconv.Itoa(i))
		}
	})
	came := time.Since(began)
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := ask(clients[0], measureNow); err != nil {
		return err
	}
	var all sync.WaitGroup
	began = time.Now()
	for i, c := range clients {
		all.Go(func() { failed[i] = ask(c, strconv.Itoa(-i)) })
	}
	all.Wait()
	took, answered := time.Since(began), n
	for _, err := range failed {
		if err != nil {
			answered--
		}
	}
	fmt.Println(answered, came.Seconds(), took.Seconds())
	work(n, func(i int) { failed[i] = clients[i].Close() })
	return nil
}

// work does n things, some at a time.
func work(n int, do func(i int)) {
	var all sync.WaitGroup
	for w := range atOnce {
		all.Go(func() {
			for i := w; i < n; i += atOnce {
				do(i)
			}
		})
	}
	all.Wait()
}

func client(server qzmq.Fingerprint, address string) (qzmq.Socket, error) {
	o := qzmq.DefaultOptions()
	var err error
	if o.Identity, err = qzmq.GenerateIdentity(); err != nil {
		return nil, err
	}
	o.Peer, o.Timeouts.Handshake = server, patience
	t, err := qzmq.New(o)
	if err != nil {
		return nil, err
	}
	s, err := t.NewSocket(qzmq.REQ)
	if err == nil {
		err = errors.Join(s.SetOption("rcvtimeo", 3*patience), s.SetOption("linger", 0), s.Connect("tcp://"+address))
	}
	return s, err
}

// ask sends a question, and sees that the answer is its own.
func ask(s qzmq.Socket, question string) error {
	if err := s.Send([]byte(question)); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	answer, err := s.Recv()
	if err == nil && string(answer) != question {
		err = fmt.Errorf("asked %q, answered %q", question, answer)
	}
	return err
}

// resident is the memory of this process in bytes.
func resident() (float64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages * os.Getpagesize()), err
}
