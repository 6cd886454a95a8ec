package dataplane

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// The benchmarks of the pipeline: whole workers between ports that are memory.
// perf/pipeline runs them and makes a table of what they report.

// pipelineSizes are inner packets: the smallest, what ZeroMQ's small messages
// make, a full one at a wire MTU of 1500 and one of 9000.
var pipelineSizes = []int{64, 256, 512, 1420, 8900}

// pipeline is a way to measure: how large the packets are, and whether those of a
// batch share records.
type pipeline struct {
	size   int
	shares bool
}

// eachPipeline runs a benchmark by size, and where several packets fit a record
// also with shared records.
func eachPipeline(b *testing.B, f func(*testing.B, pipeline)) {
	for _, size := range pipelineSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) { f(b, pipeline{size, false}) })
		if size <= 512 {
			b.Run(fmt.Sprint(size, "/shared"), func(b *testing.B) { f(b, pipeline{size, true}) })
		}
	}
}

// gateways is benchGateways with room for the largest packets.
func (p pipeline) gateways(b *testing.B) (from, to benchGateway) {
	plan := plan{aead: record.AES256GCM, shares: p.shares}
	if p.size > 1440 {
		plan.wireMTU = 9000
	}
	from, to = benchGateways(b, plan, p.size)
	for _, l := range []*loop{from.inside, from.outside, to.inside, to.outside} {
		for i := range l.rooms {
			l.rooms[i] = make([]byte, 9216)
		}
	}
	return from, to
}

// BenchmarkOutbound carries packets from an inside to an outside port and
// reports which share of the bare cipher's speed is left. All take turns in
// batches, and figures are medians.
func BenchmarkOutbound(b *testing.B) {
	eachPipeline(b, func(b *testing.B, p pipeline) {
		from, _ := p.gateways(b)
		bare := newBare(b, record.AES256GCM, p.size)
		from.out() // what grows, grows now
		allocations := testing.AllocsPerRun(20, from.out)
		b.ResetTimer()
		for range b.N {
			start := time.Now()
			from.out()
			ours := time.Since(start)
			if sent := len(from.outside.sent); sent == 0 || (sent < benchBatch) != p.shares {
				b.Fatalf("%d records left for %d packets", sent, benchBatch)
			}
			bare.turn(ours, bare.seal)
		}
		bare.report(b)
		b.ReportMetric(allocations, "allocs/batch")
	})
}

// BenchmarkInbound is the other direction. The records are sealed before the
// clock runs.
func BenchmarkInbound(b *testing.B) {
	eachPipeline(b, func(b *testing.B, p pipeline) {
		from, to := p.gateways(b)
		bare := newBare(b, record.AES256GCM, p.size)
		round := func() time.Duration {
			from.out()
			start := time.Now()
			to.in(from.outside.sent)
			return time.Since(start)
		}
		round()
		allocations := testing.AllocsPerRun(20, func() { round() })
		b.ResetTimer()
		for range b.N {
			ours := round()
			if len(to.inside.sent) != benchBatch {
				b.Fatalf("%d packets arrived", len(to.inside.sent))
			}
			bare.seal()
			bare.turn(ours, bare.open)
		}
		bare.report(b)
		b.ReportMetric(allocations, "allocs/batch")
	})
}

// BenchmarkWorkers has one worker carry packets outward, then two at once on
// threads of their own, and reports how much more the two carry in the same
// time. They share an engine, its routes and its link. The bare cipher does the
// same, with nothing that could be shared: what it loses is the machine's.
func BenchmarkWorkers(b *testing.B) {
	from, _ := benchGateways(b, plan{}, 1420)
	second := from.sibling(b)
	bares := []*bare{newBare(b, record.AES256GCM, 1420), newBare(b, record.AES256GCM, 1420)}
	var workers, ciphers []time.Duration // of a second
	for range b.N {
		workers = append(workers, gainOfTwo(from.out, second.out))
		ciphers = append(ciphers, gainOfTwo(bares[0].seal, bares[1].seal))
	}
	b.ReportMetric(medianOf(workers)/1e9, "of-one")
	b.ReportMetric(medianOf(ciphers)/1e9, "bare-of-one")
	b.ReportMetric(0, "ns/op")
}

// gainOfTwo says how much more first and second do together than first alone, as
// a part of a second.
func gainOfTwo(first, second func()) time.Duration {
	run := func(batch func()) {
		for range 200 { // some milliseconds
			batch()
		}
	}
	start := time.Now()
	run(first)
	alone := time.Since(start)
	var ready, both sync.WaitGroup
	gate := make(chan struct{})
	for _, batch := range []func(){first, second} {
		ready.Add(1)
		both.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Done()
			<-gate
			run(batch)
		})
	}
	ready.Wait()
	start = time.Now()
	close(gate)
	both.Wait()
	return time.Duration(2 * float64(time.Second) * float64(alone) / float64(time.Since(start)))
}

// sibling gives a second worker of the gateway's engine, with a port of its own
// on either side and a stream of its own on the link.
func (g *benchGateway) sibling(tb testing.TB) benchGateway {
	tb.Helper()
	e := g.a.engine
	w := newWorker(e, 1, Queue{Inside: newLoop(), Outside: newLoop(), Wait: func(time.Duration) {}, Wake: func() {}})
	e.workers = append(e.workers, w)
	sealers := []*record.Sealer{
		record.NewSealer(testKeys(record.AES256GCM, 20), g.b.session, 0),
		record.NewSealer(testKeys(record.AES256GCM, 21), g.b.session, 1),
	}
	p := *e.links[g.a.link].current
	p.Sealers = sealers
	if err := e.Install(g.a.session, p); err != nil {
		tb.Fatal(err)
	}
	out := benchGateway{network: g.network, inside: w.queue.Inside.(*loop), outside: w.queue.Outside.(*loop), w: w}
	out.load(g.inside.packets[0])
	return out
}
