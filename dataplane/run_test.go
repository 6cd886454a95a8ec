package dataplane

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// live is a network whose gateways run: real goroutines, several queues, and
// the outside cables go straight from one gateway to the other.
type live struct {
	a, b  *liveSite
	plan  plan
	count byte // of link set-ups
}

type liveSite struct {
	site
	hosts []*liveHost
}

// liveHost is the host's end of one inside cable.
type liveHost struct {
	end   *PipeEnd
	bell  chan struct{}
	heard atomic.Uint64
}

// ring ends the wait of a queue or a host.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

func newLive(t *testing.T, queues int, p plan) *live {
	t.Helper()
	l := &live{a: &liveSite{site: *newSite(t, 1, p)}, b: &liveSite{site: *newSite(t, 2, p)}, plan: p}
	l.a.link, l.b.link = "site-b", "site-a"
	outside := make([][2]*PipeEnd, queues)
	for i := range outside {
		outside[i][0], outside[i][1] = Pipe(p.capacity)
	}
	for which, s := range []*liveSite{l.a, l.b} {
		var qs []Queue
		for i := range queues {
			h := &liveHost{bell: make(chan struct{}, 1)}
			var inside *PipeEnd
			h.end, inside = Pipe(p.capacity)
			h.end.Notify(func() { ring(h.bell) })
			bell := make(chan struct{}, 1)
			inside.Notify(func() { ring(bell) })
			outside[i][which].Notify(func() { ring(bell) })
			s.hosts = append(s.hosts, h)
			qs = append(qs, Queue{Inside: inside, Outside: outside[i][which], Wake: func() { ring(bell) }, Wait: func(d time.Duration) {
				select {
				case <-bell:
				case <-time.After(d):
				}
			}})
		}
		s.engine = NewEngine(qs, func(netip.Addr) {})
	}
	l.configure()
	l.rotate(t)
	return l
}

// configure sets routes and hops, always to the same values.
func (l *live) configure() {
	for _, d := range [][2]*liveSite{{l.a, l.b}, {l.b, l.a}} {
		d[0].engine.SetRoutes(map[string][]netip.Prefix{d[0].link: d[1].prefixes()})
		d[0].engine.SetHops(d[0].hops(&d[1].site, nil))
		d[0].engine.SetRouter(netip.MustParseAddr("10.9.0.1"), netip.Addr{})
	}
}

// rotate is one link set-up with a stream for every worker.
func (l *live) rotate(t *testing.T) (atA, atB uint32) {
	t.Helper()
	l.count++
	towards := func(site byte) func(stream int) *record.Keys {
		secret := [4]byte{l.count, site}
		return func(stream int) *record.Keys {
			secret[2] = byte(stream)
			return record.NewKeys(l.plan.aead, record.SHA256, bytes.Repeat(secret[:], 8))
		}
	}
	atA, atB = l.a.openAll(t, towards(1)), l.b.openAll(t, towards(2))
	l.a.sealAll(t, &l.b.site, atA, atB, towards(2))
	l.b.sealAll(t, &l.a.site, atB, atA, towards(1))
	return atA, atB
}

func (s *liveSite) openAll(t *testing.T, key func(stream int) *record.Keys) uint32 {
	id, err := s.engine.NewSession()
	if err != nil {
		t.Error(err)
	}
	openers := make([]*record.Opener, s.engine.Streams())
	for i := range openers {
		openers[i] = record.NewOpener(key(i), id, uint16(i))
	}
	if err := s.engine.Open(id, s.link, openers); err != nil {
		t.Error(err)
	}
	return id
}

func (s *liveSite) sealAll(t *testing.T, to *site, own, theirs uint32, key func(stream int) *record.Keys) {
	sealers := make([]*record.Sealer, s.engine.Streams())
	for i := range sealers {
		sealers[i] = record.NewSealer(key(i), theirs, uint16(i))
	}
	p := Path{Local: s.outer, Peer: netip.AddrPortFrom(to.outer, 5580), WireMTU: 1500, Sealers: sealers}
	if err := s.engine.Install(own, p); err != nil {
		t.Error(err)
	}
}

// run starts both engines and gives what stops them.
func (l *live) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.a.engine.Run(ctx) })
	wg.Go(func() { l.b.engine.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

// talk sends packets from one site's hosts to the other's until done, few at a
// time, and checks every packet that arrives. What was lost is not waited for
// longer than patience.
func (l *live) talk(t *testing.T, wg *sync.WaitGroup, done *atomic.Bool, patience time.Duration) (sent *[2]atomic.Uint64) {
	sent = new([2]atomic.Uint64)
	for which, d := range [][2]*liveSite{{l.a, l.b}, {l.b, l.a}} {
		for i := range d[0].hosts {
			wg.Go(func() { // the host both sends here and hears what the other sends
				self, other := d[0].hosts[i], d[1].hosts[i]
				template := udpPacket(d[0].host4, d[1].host4, padded(64+100*i))
				back := udpPacket(d[1].host4, d[0].host4, padded(64+100*i))
				for !done.Load() || self.heard.Load() < 1 {
					target := other.heard.Load() + 16
					for range 16 {
						put(t, self.end, d[0].frame(template))
						sent[which].Add(1)
					}
					for start := time.Now(); other.heard.Load() < target && time.Since(start) < patience; {
						l.hear(t, &d[0].site, self, back)
						select {
						case <-self.bell:
						case <-time.After(time.Millisecond):
						}
					}
				}
				for start := time.Now(); time.Since(start) < 50*time.Millisecond; time.Sleep(time.Millisecond) {
					l.hear(t, &d[0].site, self, back)
				}
			})
		}
	}
	return sent
}

func (l *live) hear(t *testing.T, s *site, h *liveHost, want []byte) {
	for _, f := range h.end.Recv() {
		if got := packetOf(t, f, s.hostMAC, s.insideMAC, nil); !bytes.Equal(got, routed(want, 2)) {
			t.Errorf("a packet was changed on its way: %x", got)
		}
		h.heard.Add(1)
	}
}

func (l *live) heard(s *liveSite) (sum uint64) {
	for _, h := range s.hosts {
		sum += h.heard.Load()
	}
	return sum
}

// With nobody touching the tables, running gateways lose nothing at all.
func TestRun(t *testing.T) {
	l := newLive(t, 2, plan{capacity: 512, aead: record.AES256GCM})
	stop := l.run()
	var wg sync.WaitGroup
	var done atomic.Bool
	sent := l.talk(t, &wg, &done, 10*time.Second)
	time.Sleep(300 * time.Millisecond)
	done.Store(true)
	wg.Wait()
	stop()
	for which, s := range []*liveSite{l.b, l.a} {
		if heard, want := l.heard(s), sent[which].Load(); heard != want || want < 100 {
			t.Errorf("%d packets of %d arrived", heard, want)
		}
		for i, q := range s.engine.Stats() {
			if q.Dropped != (Stats{}).Dropped || q.In.Records == 0 || q.Out.Records == 0 {
				t.Errorf("queue %d: %+v", i, q)
			}
		}
	}
}

// Everything that the control plane does, while traffic flows. What is lost may
// only be lost under names that this explains, and traffic flows at the end.
func TestReconfiguredWhileRunning(t *testing.T) {
	l := newLive(t, 2, plan{capacity: 512, aead: record.AES256GCM})
	stop := l.run()
	var wg sync.WaitGroup
	var done atomic.Bool
	l.talk(t, &wg, &done, 20*time.Millisecond)
	deadline := time.Now().Add(time.Second)
	rounds := 0
	for ; time.Now().Before(deadline) || rounds < 10; rounds++ {
		atA, atB := l.rotate(t)
		l.configure()
		for _, s := range []*liveSite{l.a, l.b} {
			s.engine.Usage(s.link)
			s.engine.Stats()
		}
		switch rounds % 4 {
		case 1:
			l.a.engine.Stop(l.a.link)
		case 2:
			l.b.engine.SetRoutes(nil)
			l.configure()
		case 3:
			l.a.engine.Remove(atA)
			l.b.engine.Remove(atB)
		}
		time.Sleep(5 * time.Millisecond)
	}
	l.configure()
	l.rotate(t)
	before := [2]uint64{l.heard(l.a), l.heard(l.b)}
	for start := time.Now(); l.heard(l.a) < before[0]+100 || l.heard(l.b) < before[1]+100; time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("after %d changes traffic does not flow: %d and %d packets", rounds, l.heard(l.a)-before[0], l.heard(l.b)-before[1])
		}
	}
	done.Store(true)
	wg.Wait()
	stop()
	explained := map[Drop]bool{DropNoRoute: true, DropNoSession: true, DropUnknownSession: true, DropBadSource: true}
	for _, s := range []*liveSite{l.a, l.b} {
		for i, q := range s.engine.Stats() {
			for d, n := range q.Dropped {
				if n > 0 && !explained[Drop(d)] {
					t.Errorf("queue %d dropped %d packets as %v", i, n, Drop(d))
				}
			}
		}
	}
}

// The number of a packet is not lost between queues: a stream's records at the
// wrong queue, both workers running, open once each.
func TestStreamAtTwoQueues(t *testing.T) {
	l := newLive(t, 2, plan{capacity: 4096, aead: record.AES256GCM})
	// Only B runs; the test is A, and puts each frame into both of B's queues.
	w := l.a.engine.workers[0]
	var frames [][]byte
	for i := range 2000 {
		put(t, l.a.hosts[0].end, l.a.frame(udpPacket(l.a.host4, l.b.host4, binary.BigEndian.AppendUint32(nil, uint32(i)))))
		w.step()
		frames = append(frames, take(l.b.engine.workers[0].queue.Outside.(*PipeEnd))...)
	}
	var wg sync.WaitGroup
	for _, far := range l.b.engine.workers {
		end := l.a.engine.workers[far.index].queue.Outside.(*PipeEnd)
		wg.Go(func() {
			for i := 0; i < len(frames); i += 4 {
				put(t, end, frames[i:i+4]...)
				far.step()
			}
		})
	}
	wg.Wait()
	seen := map[uint32]int{}
	for _, h := range l.b.hosts {
		for _, f := range take(h.end) {
			seen[binary.BigEndian.Uint32(f[len(f)-4:])]++
		}
	}
	var dropped [dropCount]uint64
	for _, q := range l.b.engine.Stats() {
		for d, n := range q.Dropped {
			dropped[d] += n
		}
	}
	for i, n := range seen {
		if n != 1 {
			t.Errorf("packet %d came %d times", i, n)
		}
	}
	if uint64(len(seen))+dropped[DropReplayed]+dropped[DropStreamBusy] != 2*uint64(len(frames)) {
		t.Errorf("%d packets came of %d sent twice; %d replayed, %d busy", len(seen), len(frames), dropped[DropReplayed], dropped[DropStreamBusy])
	}
}
