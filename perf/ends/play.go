package ends

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Socket is what a program here needs of a library. Send may not keep the memory it is
// given, and waits while a queue is full, unless the pattern drops.
type Socket interface {
	Send(message []byte) error
	Recv() ([]byte, error)
	Close() error // when what was sent has left
}

// Patient is the kind of a PUB socket that waits for slow subscribers (libzmq's
// ZMQ_XPUB_NODROP), where the library has such a thing, and otherwise drops.
const Patient = "PUB that waits"

// Library opens sockets of a kind, "PUSH" for instance, with queues for so many
// messages. A SUB socket has subscribed to everything.
type Library interface {
	Bind(kind, address string, queue int) (Socket, error)
	Connect(kind, address string, queue int) (Socket, error)
}

// inFlight bounds a queue in bytes: a thousand messages of a megabyte would be the
// memory of the machine.
const inFlight = 32 << 20

func queueFor(size int) int { return min(1000, inFlight/max(1, size)) }

// usual is what a program takes for the size of messages that it cannot know.
const usual = 64 << 10

// Play is a whole program: one of the parts that perf/traffic/zmq.c describes, with
// one number more at its end, the allocations for each message.
func Play(args []string, l Library, in io.Reader, out io.Writer) error {
	p := player{library: l, in: in, out: out}
	numbers := make([]float64, len(args))
	for i := range args {
		numbers[i], _ = strconv.ParseFloat(args[i], 64)
	}
	at := func(i int) int { return int(numbers[i]) }
	switch {
	case len(args) == 2 && args[0] == "pull":
		return p.pull(args[1])
	case len(args) == 5 && args[0] == "push":
		return p.push(net.JoinHostPort(args[1], args[2]), at(3), seconds(numbers[4]))
	case len(args) == 2 && args[0] == "rep":
		return p.rep(args[1])
	case len(args) == 5 && args[0] == "req" && at(4) > 0:
		return p.req(net.JoinHostPort(args[1], args[2]), at(3), at(4))
	case len(args) == 5 && args[0] == "pub":
		return p.pub(args[1], at(2), seconds(numbers[3]), args[4] == "wait")
	case len(args) == 5 && args[0] == "sub" && at(4) > 0:
		return p.sub(net.JoinHostPort(args[1], args[2]), at(3), at(4))
	}
	return errors.New("usage: pull PORT | push ADDRESS PORT SIZE SECONDS | rep PORT | req ADDRESS PORT SIZE COUNT | pub PORT SIZE SECONDS wait|drop | sub ADDRESS PORT SIZE SUBSCRIBERS")
}

func seconds(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }

type player struct {
	library Library
	in      io.Reader
	out     io.Writer
}

func (p *player) bind(kind, port string, queue int) (Socket, error) {
	s, err := p.library.Bind(kind, "127.0.0.1:"+port, queue)
	if err == nil {
		fmt.Fprintln(p.out, "listening")
	}
	return s, err
}

func (p *player) pull(port string) error {
	s, err := p.bind("PULL", port, queueFor(usual))
	if err != nil {
		return err
	}
	var first time.Time
	var a allocations
	for {
		m, err := s.Recv()
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if len(m) == 0 {
			break
		}
		if a.count(); a.messages == 1 {
			first = time.Now()
		}
	}
	took, each := time.Since(first), a.each()
	fmt.Fprintln(p.out, a.messages, took.Seconds(), each)
	return s.Close()
}

func (p *player) push(address string, size int, lasts time.Duration) error {
	s, err := p.library.Connect("PUSH", address, queueFor(size))
	if err != nil {
		return err
	}
	body := make([]byte, size)
	var a allocations
	var end time.Time
	for {
		if err := s.Send(body); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		now := time.Now()
		if a.count(); a.messages == 1 {
			end = now.Add(lasts) // the first one waits for the connection
		}
		if now.After(end) {
			break
		}
	}
	fmt.Fprintln(p.out, a.each())
	return errors.Join(s.Send(nil), s.Close())
}

func (p *player) rep(port string) error {
	s, err := p.bind("REP", port, queueFor(usual))
	if err != nil {
		return err
	}
	var a allocations
	for {
		m, err := s.Recv()
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if err := s.Send(m); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		if len(m) == 0 {
			break
		}
		a.count()
	}
	fmt.Fprintln(p.out, a.each())
	io.Copy(io.Discard, p.in) // ends when the other side has its last answer
	return s.Close()
}

func (p *player) req(address string, size, count int) error {
	s, err := p.library.Connect("REQ", address, queueFor(size))
	if err != nil {
		return err
	}
	body, took := make([]byte, size), make([]float64, 0, count)
	ask := func(m []byte) error {
		if err := s.Send(m); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		if _, err := s.Recv(); err != nil {
			return fmt.Errorf("be answered: %w", err)
		}
		return nil
	}
	var a allocations
	for i := -warm; i < count; i++ { // the first ones set the connection up
		time.Sleep(time.Millisecond)
		start := time.Now()
		if err := ask(body); err != nil {
			return err
		}
		if i >= 0 {
			took = append(took, float64(time.Since(start).Nanoseconds())/1e3)
		}
		a.count()
	}
	each := a.each()
	if err := ask(nil); err != nil {
		return err
	}
	slices.Sort(took)
	fmt.Fprintln(p.out, took[count/2], took[count*99/100], each)
	return s.Close()
}

func (p *player) pub(port string, size int, lasts time.Duration, waits bool) error {
	kind := "PUB"
	if waits {
		kind = Patient
	}
	s, err := p.bind(kind, port, queueFor(size))
	if err != nil {
		return err
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		for lines := bufio.NewScanner(p.in); lines.Scan(); {
			told <- struct{}{}
		}
	}()
	if err := repeat(s, []byte("?"), told); err != nil {
		return err
	}
	body := make([]byte, size)
	var a allocations
	for end := time.Now().Add(lasts); time.Now().Before(end); a.count() {
		if err := s.Send(body); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	fmt.Fprintln(p.out, a.messages, a.each())
	return errors.Join(repeat(s, nil, told), s.Close())
}

// repeat sends a message until a word comes: it can be dropped, or nobody be there.
func repeat(s Socket, m []byte, told <-chan struct{}) error {
	for {
		if err := s.Send(m); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		select {
		case <-told:
			return nil
		case <-time.After(time.Millisecond):
		}
	}
}

func (p *player) sub(address string, size, subscribers int) error {
	var probes, warmed, ends sync.WaitGroup
	probes.Add(subscribers)
	warmed.Add(subscribers)
	var steady atomic.Bool
	all := make([]*subscriber, subscribers)
	for i := range all {
		// Their queues are eight times those of one, all together.
		s, err := p.library.Connect("SUB", address, queueFor(max(size, size*subscribers/8)))
		if err != nil {
			return err
		}
		all[i] = &subscriber{socket: s, steady: &steady}
		ends.Go(func() { all[i].receive(sync.OnceFunc(probes.Done), sync.OnceFunc(warmed.Done)) })
	}
	var before, after runtime.MemStats
	probes.Wait()
	fmt.Fprintln(p.out, "ready")
	warmed.Wait()
	runtime.ReadMemStats(&before)
	steady.Store(true)
	ends.Wait()
	ended := time.Now()
	runtime.ReadMemStats(&after)
	messages, counted, began, failed := 0, 0, ended, make([]error, 2*subscribers)
	for i, s := range all {
		messages += s.messages
		counted += s.counted
		if s.messages > 0 && s.began.Before(began) {
			began = s.began
		}
		failed[i] = s.failed
		ends.Go(func() { failed[subscribers+i] = s.socket.Close() })
	}
	ends.Wait()
	if messages == 0 {
		failed = append(failed, errors.New("no message came"))
	}
	fmt.Fprintln(p.out, messages, ended.Sub(began).Seconds(), perMessage(&before, &after, counted))
	return errors.Join(failed...)
}

// subscriber is one of many in a program.
type subscriber struct {
	socket   Socket
	messages int
	steady   *atomic.Bool // all subscribers are warm: allocations are counted
	counted  int          // messages since then
	began    time.Time
	failed   error
}

// receive takes messages until an empty one, and says when there was a probe, and when
// messages enough to be warm, or when there never will be.
func (s *subscriber) receive(probed, warmed func()) {
	defer probed()
	defer warmed()
	for {
		m, err := s.socket.Recv()
		switch {
		case err != nil:
			s.failed = fmt.Errorf("receive: %w", err)
			return
		case len(m) == 0:
			return
		case len(m) == 1:
			probed()
		default:
			switch s.messages++; s.messages {
			case 1:
				s.began = time.Now()
			case warm:
				warmed()
			}
			if s.steady.Load() {
				s.counted++
			}
		}
	}
}

// allocations counts messages, and what the process allocates for each one once the
// first have made queues and pools what they need to be.
type allocations struct {
	messages int
	before   [2]runtime.MemStats // after warm messages, and after warmer
}

// warm is how many messages come first, and warmer the same where there are twice as many.
const warm, warmer = 20, 300

func (a *allocations) count() {
	switch a.messages++; a.messages {
	case warm:
		runtime.ReadMemStats(&a.before[0])
	case warmer:
		runtime.ReadMemStats(&a.before[1])
	}
}

// each is infinite when there were too few messages.
func (a *allocations) each() float64 {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	if a.messages >= 2*warmer {
		return perMessage(&a.before[1], &now, a.messages-warmer)
	}
	return perMessage(&a.before[0], &now, a.messages-warm)
}

func perMessage(before, after *runtime.MemStats, messages int) float64 {
	if messages <= 0 {
		return math.Inf(1)
	}
	return float64(after.Mallocs-before.Mallocs) / float64(messages)
}
