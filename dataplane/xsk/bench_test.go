package xsk

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// commit prepares one burst of packets. Only their headers are written: how
// fast a payload is filled is not the question.
func commit(b *testing.B, s *Socket, size int) {
	for range batch {
		room := s.Room()
		if room == nil {
			b.Fatal("no room")
		}
		compose(room[:22], 0)
		s.Commit(room[:size])
	}
}

func perPacket(b *testing.B, unit string, took time.Duration, packets uint64) {
	b.ReportMetric(float64(took.Nanoseconds())/float64(packets), unit)
}

// BenchmarkSend sends bursts of 64 to a peer whose program drops them. All the
// kernel's work, also the peer's, happens inside Flush.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{64, 1514, wireMTU + 14} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := newWire(b, true)
			a := w.open(b, w.a, Config{})
			b.ReportAllocs()
			for b.Loop() {
				commit(b, a, size)
				a.Flush()
			}
			stats, err := a.Stats()
			check(b, err)
			perPacket(b, "ns/packet", b.Elapsed(), stats.SentPackets)
			b.ReportMetric(float64(stats.SentPackets)/float64(stats.Kicks), "packets/kick")
		})
	}
}

// BenchmarkSendReceive sends bursts of 64 from one socket to another and
// receives them, all in one goroutine. The parts are shown separately.
func BenchmarkSendReceive(b *testing.B) {
	for _, native := range []bool{true, false} {
		for _, size := range []int{64, 1514, wireMTU + 14} {
			b.Run(fmt.Sprintf("native=%v/%d", native, size), func(b *testing.B) {
				w := newWire(b, native)
				from, to := w.open(b, w.a, Config{}), w.open(b, w.b, Config{})
				var sending, receiving time.Duration
				b.ReportAllocs()
				for b.Loop() {
					start := time.Now()
					commit(b, from, size)
					from.Flush()
					sent := time.Now()
					for len(to.Recv()) > 0 {
					}
					sending += sent.Sub(start)
					receiving += time.Since(sent)
				}
				for range 100 { // stragglers in the backlog of a busy machine
					Wait(time.Millisecond, nil, to)
					to.Recv()
				}
				sent, err := from.Stats()
				check(b, err)
				got, err := to.Stats()
				check(b, err)
				perPacket(b, "ns-send/packet", sending, sent.SentPackets)
				perPacket(b, "ns-recv/packet", receiving, got.ReceivedPackets)
				b.ReportMetric(100*float64(sent.SentPackets-got.ReceivedPackets)/float64(sent.SentPackets), "%lost")
			})
		}
	}
}

// BenchmarkRings is our own share: a burst of 64 sent and one received, with
// the kernel's part played by a few stores.
func BenchmarkRings(b *testing.B) {
	s := plainSocket(4096)
	b.ReportAllocs()
	for b.Loop() {
		for range batch {
			s.Commit(s.Room()[:64])
		}
		sent := s.tx.producer.Load()
		for i := range uint32(batch) {
			s.done.entries[(sent+i)&s.done.mask] = s.tx.entries[(sent+i)&s.tx.mask].Addr
			s.rx.entries[(sent+i)&s.rx.mask] = unix.XDPDesc{Addr: s.fill.entries[(sent+i)&s.fill.mask] + recvHeadroom, Len: 64}
		}
		s.tx.consumer.Store(sent + batch)
		s.fill.consumer.Store(sent + batch)
		s.done.producer.Store(sent + batch)
		s.rx.producer.Store(sent + batch)
		s.Flush()
		if len(s.Recv()) != batch {
			b.Fatal("a burst was not received")
		}
		s.Recv()
	}
	perPacket(b, "ns/packet", b.Elapsed(), s.counted.sentPackets.Load())
}
