package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// world is all sockets, the proxies between them, the attackers, and the model of what
// may happen.
type world struct {
	author
	verdict verdict
	seed    uint64
	plain   bool // nothing is sealed: the model must then find what the proxies do

	sky     atomic.Int32
	counts  [kinds]atomic.Int64
	proxies []*proxy
	parties []*party
	flows   []*flow
	streams []*stream
	attack  attackers
	stood   atomic.Int64 // nanoseconds, the longest time for which the process has stood still
	full    atomic.Int64 // when the kernel was short of memory for TCP last, in nanoseconds

	// going is held while something is sent, and by who wants that nothing is.
	going sync.RWMutex
	ctx   context.Context
	stop  context.CancelFunc
	all   sync.WaitGroup // receivers and senders

	mu     sync.Mutex
	known  map[qzmq.Fingerprint]bool // who may in
	events []event                   // of members' connections, since they were last looked at
}

// Times of all sockets: short, so that much happens in a minute.
const (
	beat       = 200 * time.Millisecond
	beatMissed = 2 * time.Second // a connection that says nothing for so long is over
	longBeat   = time.Minute     // but not where nobody touches it
	shake      = 2 * time.Second
	reconnect  = 20 * time.Millisecond
	atMost     = 200 * time.Millisecond // between two attempts to connect
	rekeyed    = 3 * time.Second        // a session's age when it is replaced
)

func newWorld(seed uint64, plain bool) *world {
	w := &world{author: author{seed}, seed: seed, plain: plain, known: map[qzmq.Fingerprint]bool{}}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.all.Go(w.clock)
	return w
}

// clock measures for how long the process stands still, and whether the kernel has memory
// for TCP: a machine that has not makes connections end, whose heartbeats come too late.
func (w *world) clock() {
	for last := time.Now(); w.ctx.Err() == nil; {
		w.sleep(20 * time.Millisecond)
		now := time.Now()
		w.stood.Store(max(w.stood.Load(), int64(now.Sub(last))))
		last = now
		if tcpFull() {
			w.full.Store(now.UnixNano())
		}
	}
}

// helpless says what the machine has done since then that connections do not survive, ""
// for nothing.
func (w *world) helpless(since time.Time) string {
	if stood := time.Duration(w.stood.Load()); stood > beatMissed/2 {
		return fmt.Sprintf("the process stood still for %v", stood)
	}
	if full := time.Unix(0, w.full.Load()); full.After(since) {
		return "the kernel had no memory for TCP at " + full.Format(clockTime)
	}
	return ""
}

// party is a socket with an identity of its own.
type party struct {
	qzmq.Socket
	name      string
	transport qzmq.Transport
	self      qzmq.Fingerprint
	endpoint  string // where it is bound, for who comes through a proxy
	direct    string // and for who does not
}

// options are those of who may in, or of an attacker.
func (w *world) options(member bool) (o qzmq.Options, err error) {
	o = qzmq.DefaultOptions()
	o.AntiDoS = member // both ways are used
	o.Timeouts.Linger = 0
	o.KeyRotation.MaxAge = rekeyed
	if w.plain {
		return qzmq.Options{InsecurePlaintext: true, Suite: o.Suite, Timeouts: o.Timeouts}, nil
	}
	if o.Identity, err = qzmq.GenerateIdentity(); err != nil {
		return o, err
	}
	w.mu.Lock()
	w.known[o.Identity.Fingerprint()] = member
	w.mu.Unlock()
	o.Authorize = func(_ context.Context, p qzmq.Peer) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if member && !w.known[p.Fingerprint] {
			return errors.New("a stranger")
		}
		return nil // an attacker lets everybody in
	}
	return o, nil
}

// open makes a socket of a kind with the world's times and some options of its own.
func (w *world) open(kind qzmq.SocketType, name string, o qzmq.Options, set map[string]any) (*party, error) {
	t, err := qzmq.New(o)
	if err != nil {
		return nil, err
	}
	s, err := t.NewSocket(kind)
	if err != nil {
		return nil, err
	}
	p := &party{Socket: s, name: name, transport: t}
	if o.Identity != nil {
		p.self = o.Identity.Fingerprint()
	}
	all := map[string]any{"heartbeat_ivl": beat, "heartbeat_timeout": beatMissed, "handshake_ivl": shake,
		"reconnect_ivl": reconnect, "reconnect_ivl_max": atMost, "sndtimeo": 200 * time.Millisecond}
	for key, value := range set {
		all[key] = value
	}
	for key, value := range all {
		err = errors.Join(err, s.SetOption(key, value))
	}
	return p, err
}

// bind makes a socket that others connect to.
func (w *world) bind(kind qzmq.SocketType, set map[string]any) (*party, error) {
	o, err := w.options(true)
	if err != nil {
		return nil, err
	}
	p, err := w.open(kind, kind.String(), o, set)
	if err != nil {
		return nil, err
	}
	if p.endpoint, err = p.listen(); err != nil {
		return nil, err
	}
	if err := p.SetOption("heartbeat_timeout", longBeat); err != nil {
		return nil, err
	}
	if p.direct, err = p.listen(); err != nil {
		return nil, err
	}
	w.parties = append(w.parties, p)
	w.all.Go(func() { w.watch(p, false, false) })
	return p, w.attack.surround(w, kind, p)
}

// listen binds to a port of the loopback, and gives the endpoint.
func (p *party) listen() (string, error) {
	if err := p.Bind("tcp://127.0.0.1:*"); err != nil {
		return "", err
	}
	last, err := p.GetOption("last_endpoint")
	if err != nil {
		return "", err
	}
	return last.(string), nil
}

// connect makes a socket that connects to another one, through a proxy or directly.
func (w *world) connect(kind qzmq.SocketType, to *party, through bool, set map[string]any) (*party, error) {
	o, err := w.options(true)
	if err != nil {
		return nil, err
	}
	o.Peer = to.self
	name := fmt.Sprintf("%v %d, direct", kind, len(w.parties))
	endpoint := to.direct
	if through {
		name = fmt.Sprintf("%v %d", kind, len(w.parties))
		p, err := startProxy(len(w.proxies), w.seed, &w.sky, &w.counts, to.endpoint[len("tcp://"):], w.attack.impostors(to))
		if err != nil {
			return nil, err
		}
		w.proxies = append(w.proxies, p)
		endpoint = "tcp://" + p.address()
	}
	p, err := w.open(kind, name, o, set)
	if err != nil {
		return nil, err
	}
	w.parties = append(w.parties, p)
	if !through {
		if err := p.SetOption("heartbeat_timeout", longBeat); err != nil {
			return nil, err
		}
	}
	w.all.Go(func() { w.watch(p, true, !through) })
	return p, p.Connect(endpoint)
}

// event is what has happened to a connection of a member.
type event struct {
	who string
	qzmq.Event
}

// watch sees that a connection stays that nobody touches, and remembers what happens to
// all. Who fails to call a member is an attacker as a rule, and not remembered.
func (w *world) watch(p *party, connects, untouched bool) {
	for e := range p.Monitor() {
		switch e.Kind {
		case qzmq.EventHandshakeFailed, qzmq.EventConnectFailed:
			if !connects {
				continue
			}
		case qzmq.EventConnected, qzmq.EventDisconnected, qzmq.EventRekeyed, qzmq.EventRekeyFailed:
		default:
			continue
		}
		w.mu.Lock()
		w.events = append(w.events, event{p.name, e})
		w.mu.Unlock()
		if untouched && e.Kind != qzmq.EventConnected && e.Kind != qzmq.EventRekeyed && w.ctx.Err() == nil {
			w.verdict.against(p.name, "%v, though nobody touches the connection: %v", e.Kind, e.Err)
		}
	}
}

// remembered gives what has happened since the last call.
func (w *world) remembered() []event {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.events
	w.events = nil
	return all
}

// flow adds what one says to another to the model.
func (w *world) flow(from, to *party, p promises) *flow {
	return w.flowOf(flowID(len(w.flows)+1), from, to, p)
}

// flowOf is flow for what several receive.
func (w *world) flowOf(id flowID, from, to *party, p promises) *flow {
	f := newFlow(id, from.name+" to "+to.name, p, &w.verdict)
	f.from = from.self
	w.flows = append(w.flows, f)
	return f
}

// close ends everything and returns when it has.
func (w *world) close() {
	w.stop()
	var all sync.WaitGroup
	for _, p := range w.parties {
		all.Go(func() { p.transport.Close() })
	}
	all.Go(w.attack.close)
	all.Wait()
	for _, p := range w.proxies {
		p.close()
	}
	w.all.Wait()
}
