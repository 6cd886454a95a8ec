package dataplane

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// The network of these tests, all of it in memory:
//
//	host A -- inside -- gateway A -- outside -- (the test) -- outside -- gateway B -- inside -- host B
//
// The test holds both hosts' ends of the inside cables and both far ends of the
// outside cables, and carries frames from one to the other when it is told to,
// so it can look at them, change them and lose them. Workers run one step at a
// time, on the test's goroutine.
type network struct {
	t    testing.TB
	plan plan
	a, b *site
}

// site is one gateway with its host.
type site struct {
	t       testing.TB
	engine  *Engine
	host    *PipeEnd // the host's end of the inside cable
	wire    *PipeEnd // the test's end of the outside cable
	link    string   // the name this gateway has for its link to the other
	session uint32   // what its peer's records name
	wanted  []netip.Addr

	hostMAC, insideMAC, outsideMAC [6]byte
	host4, host6                   netip.Addr
	outer                          netip.Addr
	insideTags                     []uint16
}

// plan says in what a network differs from the usual one.
type plan struct {
	outer6      bool
	wireMTU     int // 1500 unless told
	insideTags  []uint16
	outsideTags []uint16
	aead        record.AEAD // AES-256-GCM unless told
	capacity    int         // of every pipe, 1024 unless told
	shares      bool        // packets share records
	sums        bool        // UDP checksums on IPv4
}

func newSite(t testing.TB, number byte, p plan) *site {
	insideHost, insideGateway := Pipe(p.capacity)
	outsideWire, outsideGateway := Pipe(p.capacity)
	s := &site{
		t: t, host: insideHost, wire: outsideWire,
		hostMAC: [6]byte{2, 0, 0, 0, number, 1}, insideMAC: [6]byte{2, 0, 0, 0, number, 2}, outsideMAC: [6]byte{2, 0, 0, 0, number, 3},
		host4:      netip.AddrFrom4([4]byte{10, number, 0, 5}),
		host6:      netip.AddrFrom16([16]byte{0: 0xfd, 3: number, 15: 5}),
		outer:      netip.AddrFrom4([4]byte{192, 0, 2, number}),
		insideTags: p.insideTags,
	}
	if p.outer6 {
		s.outer = netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 15: number})
	}
	queue := Queue{Inside: insideGateway, Outside: outsideGateway, Wait: func(time.Duration) {}, Wake: func() {}}
	s.engine = NewEngine([]Queue{queue}, func(a netip.Addr) { s.wanted = append(s.wanted, a) })
	s.engine.SetRouter(netip.AddrFrom4([4]byte{10, number, 0, 1}), netip.AddrFrom16([16]byte{0: 0xfd, 3: number, 15: 1}))
	return s
}

// prefixes is what lies behind a site.
func (s *site) prefixes() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(s.host4, 24).Masked(), netip.PrefixFrom(s.host6, 64).Masked()}
}

// hops gives the site's next hops: its own host inside, the other gateway
// outside.
func (s *site) hops(other *site, outsideTags []uint16) (inside, outside map[netip.Addr]Hop) {
	toHost := NewHop(s.hostMAC, s.insideMAC, s.insideTags...)
	return map[netip.Addr]Hop{s.host4: toHost, s.host6: toHost},
		map[netip.Addr]Hop{other.outer: NewHop(other.outsideMAC, s.outsideMAC, outsideTags...)}
}

// newNetwork connects two gateways with keys in both directions.
func newNetwork(t testing.TB, p plan) *network {
	t.Helper()
	if p.wireMTU == 0 {
		p.wireMTU = 1500
	}
	if p.capacity == 0 {
		p.capacity = 1024
	}
	if p.aead == 0 {
		p.aead = record.AES256GCM
	}
	n := &network{t: t, plan: p, a: newSite(t, 1, p), b: newSite(t, 2, p)}
	n.a.link, n.b.link = "site-b", "site-a"
	for _, pair := range [][2]*site{{n.a, n.b}, {n.b, n.a}} {
		self, other := pair[0], pair[1]
		self.engine.SetRoutes(map[string][]netip.Prefix{self.link: other.prefixes()})
		self.engine.SetHops(self.hops(other, p.outsideTags))
	}
	n.a.session, n.b.session = connect(t, n.a, n.b, p, 1)
	return n
}

func testKeys(a record.AEAD, n byte) *record.Keys {
	return record.NewKeys(a, record.SHA256, bytes.Repeat([]byte{n}, 32))
}

// connect is one link set-up: fresh sessions and keys in both directions. It
// gives the session that each side opens.
func connect(t testing.TB, a, b *site, p plan, number byte) (atA, atB uint32) {
	t.Helper()
	atA, atB = a.newSession(testKeys(p.aead, 2*number)), b.newSession(testKeys(p.aead, 2*number+1))
	a.install(b, p, atA, record.NewSealer(testKeys(p.aead, 2*number+1), atB, 0))
	b.install(a, p, atB, record.NewSealer(testKeys(p.aead, 2*number), atA, 0))
	return atA, atB
}

// newSession opens a session of one stream on the site's link.
func (s *site) newSession(k *record.Keys) uint32 {
	s.t.Helper()
	id, err := s.engine.NewSession()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.engine.Open(id, s.link, []*record.Opener{record.NewOpener(k, id, 0)}); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *site) install(to *site, p plan, session uint32, sealer *record.Sealer) {
	s.t.Helper()
	err := s.engine.Install(session, Path{
		Local: s.outer, Peer: netip.AddrPortFrom(to.outer, 5580), WireMTU: p.wireMTU, Shares: p.shares, Sums: p.sums, Sealers: []*record.Sealer{sealer},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// put sends frames into a cable.
func put(t testing.TB, end *PipeEnd, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		room := end.Room()
		if len(room) < len(f) {
			t.Fatalf("no room for a frame of %d bytes", len(f))
		}
		end.Commit(room[:copy(room, f)])
	}
	end.Flush()
}

// take receives what is in a cable; the copies are the caller's.
func take(end *PipeEnd) [][]byte {
	var out [][]byte
	for _, f := range end.Recv() {
		out = append(out, bytes.Clone(f))
	}
	return out
}

func (s *site) worker() *Worker { return s.engine.workers[0] }

func (s *site) step() { s.worker().step() }

// frame puts an IP packet from the site's host into a frame to the gateway.
func (s *site) frame(packet []byte) []byte {
	return frameOf(s.insideMAC, s.hostMAC, s.insideTags, packet)
}

// sends has the host send packets and gives the frames that leave outside.
func (s *site) sends(packets ...[]byte) [][]byte {
	s.t.Helper()
	for _, p := range packets {
		put(s.t, s.host, s.frame(p))
	}
	s.step()
	return take(s.wire)
}

// hears has frames arrive outside and gives the packets that reach the host.
func (s *site) hears(frames ...[]byte) [][]byte {
	s.t.Helper()
	put(s.t, s.wire, frames...)
	s.step()
	return s.delivered()
}

// delivered gives the IP packets that reached the host, having checked their
// link-layer headers.
func (s *site) delivered() [][]byte {
	s.t.Helper()
	var out [][]byte
	for _, f := range take(s.host) {
		out = append(out, packetOf(s.t, f, s.hostMAC, s.insideMAC, s.insideTags))
	}
	return out
}

// drops gives the published counters of reasons that are not 0.
func (s *site) drops() map[Drop]uint64 {
	out := map[Drop]uint64{}
	for d, n := range s.engine.Stats()[0].Dropped {
		if n > 0 {
			out[Drop(d)] = n
		}
	}
	return out
}

// wantDrops fails the test unless exactly these packets were dropped.
func (s *site) wantDrops(want map[Drop]uint64) {
	s.t.Helper()
	got := s.drops()
	for _, d := range Drops() {
		if got[d] != want[d] {
			s.t.Errorf("%d packets dropped as %s, want %d", got[d], d, want[d])
		}
	}
}

// one fails the test unless there is exactly one packet.
func one(t testing.TB, packets [][]byte) []byte {
	t.Helper()
	if len(packets) != 1 {
		t.Fatalf("%d packets came out, want one", len(packets))
	}
	return packets[0]
}

// none fails the test when there are packets.
func none(t testing.TB, packets [][]byte) {
	t.Helper()
	if len(packets) != 0 {
		t.Fatalf("%d packets came out, want none; the first: %x", len(packets), packets[0])
	}
}

// works fails the test unless a packet still crosses in both directions.
func (n *network) works() {
	n.t.Helper()
	for _, d := range [][2]*site{{n.a, n.b}, {n.b, n.a}} {
		p := udpPacket(d[0].host4, d[1].host4, []byte("still alive"))
		same(n.t, one(n.t, d[1].hears(d[0].sends(p)...)), p, 2)
	}
}
