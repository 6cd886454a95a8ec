package dataplane

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// crowd is two gateways with many links between them, each with a session and a
// network of its own on either side: 10.0.0.0/8 behind A, 11.0.0.0/8 behind B.
type crowd struct {
	from, to benchGateway
	hosts    [][2]netip.Addr // of link i, behind A and behind B
}

func newCrowd(b *testing.B, links, size int) *crowd {
	b.Helper()
	p := plan{aead: record.AES256GCM, wireMTU: 1500}
	from, to := benchGateways(b, p, size)
	c := &crowd{from: from, to: to}
	routes := [2]map[string][]netip.Prefix{{}, {}}
	hops := map[netip.Addr]Hop{}
	toHost := NewHop(to.b.hostMAC, to.b.insideMAC)
	for i := range links {
		var pair [2]netip.Addr
		for side := range pair {
			pair[side] = netip.AddrFrom4([4]byte{byte(10 + side), byte(i >> 8), byte(i), 5})
			routes[1-side][fmt.Sprint(i)] = []netip.Prefix{netip.PrefixFrom(pair[side], 24).Masked()}
		}
		hops[pair[1]] = toHost
		c.hosts = append(c.hosts, pair)
	}
	from.a.engine.SetRoutes(routes[0])
	to.b.engine.SetRoutes(routes[1])
	_, outside := to.b.hops(from.a, nil)
	to.b.engine.SetHops(hops, outside)
	for i := range links {
		c.connect(b, p, i)
	}
	return c
}

// connect gives link i a session from A to B.
func (c *crowd) connect(b *testing.B, p plan, i int) {
	secret := make([]byte, record.SHA256.Size())
	binary.BigEndian.PutUint32(secret, uint32(i))
	keys := func() *record.Keys { return record.NewKeys(p.aead, record.SHA256, secret) }
	name := fmt.Sprint(i)
	atB, err := c.to.b.engine.NewSession()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.to.b.engine.Open(atB, name, []*record.Opener{record.NewOpener(keys(), atB, 0)}); err != nil {
		b.Fatal(err)
	}
	atA, err := c.from.a.engine.NewSession()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.from.a.engine.Open(atA, name, nil); err != nil {
		b.Fatal(err)
	}
	c.from.a.install(c.to.b, p, atA, record.NewSealer(keys(), atB, 0))
}

// load fills the batch that waits inside A: all of it for one link, or each
// packet for another one, a stride apart, so that no cache expects it.
func (c *crowd) load(batch, links, size int) {
	for i := range c.from.inside.packets {
		pair := c.hosts[(batch*benchBatch+i)*7919%links]
		c.from.inside.packets[i] = c.from.a.frame(udpPacket(pair[0], pair[1], padded(size-28)))
	}
}

// round carries a batch from inside A to inside B and gives the time it took.
func (c *crowd) round(b *testing.B) time.Duration {
	start := time.Now()
	c.from.out()
	c.to.in(c.from.outside.sent)
	took := time.Since(start)
	if len(c.to.inside.sent) != benchBatch {
		b.Fatalf("%d packets arrived; dropped %v, then %v", len(c.to.inside.sent), c.from.a.drops(), c.to.b.drops())
	}
	return took
}

// BenchmarkScale reports which share of the speed with one session and one route
// is left with 10,000 installed: when one of them carries everything, and when
// every packet is another one's. Both ends count, and they take turns.
func BenchmarkScale(b *testing.B) {
	const many, size = 10_000, 1420
	one, crowded := newCrowd(b, 1, size), newCrowd(b, many, size)
	one.load(0, 1, size)
	for _, c := range []struct {
		name string
		used int
	}{{"one-used", 1}, {"all-used", many}} {
		b.Run(c.name, func(b *testing.B) {
			crowded.load(0, c.used, size)
			var alone, amid []time.Duration
			for i := range b.N {
				if c.used > 1 {
					crowded.load(i, c.used, size)
				}
				alone = append(alone, one.round(b))
				amid = append(amid, crowded.round(b))
			}
			b.ReportMetric(medianOf(alone)/medianOf(amid), "of-one")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkRotation compares a second in which the link gets a new session while
// packets flow with a second in which it does not: how many packets still come
// through, and whether any is lost. Keys are derived and installed by another
// goroutine, as the control plane does.
func BenchmarkRotation(b *testing.B) {
	from, to := benchGateways(b, plan{}, 1420)
	number, lost := byte(10), 0
	second := func(rotate bool) (packets int) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(time.Second / 2)
			if rotate {
				connect(b, from.a, from.b, from.plan, number)
			}
			now := time.Now()
			from.a.engine.Prepare(from.a.link, now)
			from.b.engine.Prepare(from.b.link, now)
			time.Sleep(time.Second / 2)
		}()
		for {
			select {
			case <-done:
				return packets
			default:
			}
			from.out()
			to.in(from.outside.sent)
			packets += len(to.inside.sent)
			lost += benchBatch - len(to.inside.sent)
		}
	}
	var with, without int
	for range b.N {
		without += second(false)
		with += second(true)
		number++
	}
	b.ReportMetric(float64(with)/float64(without), "of-still")
	b.ReportMetric(float64(lost), "lost")
	b.ReportMetric(0, "ns/op")
}
