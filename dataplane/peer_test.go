package dataplane

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// peer is somebody who holds a link's keys and can do with them what a gateway
// never would: seal any payload, under any outer header.
type peer struct {
	to      *site
	session uint32
	seals   *record.Sealer
}

// newPeer opens a second session on the site's link, in which the peer sends.
func newPeer(t testing.TB, to *site) *peer {
	t.Helper()
	session := to.newSession(testKeys(record.AES256GCM, 77))
	return &peer{to: to, session: session, seals: record.NewSealer(testKeys(record.AES256GCM, 77), session, 0)}
}

// spareSealer is a sealer for a path whose records nobody will open.
func spareSealer() *record.Sealer {
	return record.NewSealer(testKeys(record.AES256GCM, 78), 1, 0)
}

// record seals a payload.
func (p *peer) record(payload []byte) []byte {
	dst := make([]byte, len(payload)+record.Overhead)
	b := record.NewBurst(1)
	b.Add(p.seals, dst, payload)
	b.Seal()
	return dst
}

// frame seals packets into one record and puts it into a frame.
func (p *peer) frame(packets ...[]byte) []byte {
	var payload []byte
	for _, b := range packets {
		payload = append(payload, b...)
	}
	return p.enclose(p.record(payload), 0)
}

// enclose puts any UDP payload into a frame to the site.
func (p *peer) enclose(payload []byte, ecn byte) []byte {
	from := netip.MustParseAddr("192.0.2.200")
	if p.to.outer.Is6() {
		from = netip.MustParseAddr("2001:db8::200")
	}
	segment := binary.BigEndian.AppendUint16([]byte{0xee, 0x48, 0x15, 0xcc}, uint16(8+len(payload)))
	segment = append(append(segment, 0, 0), payload...)
	outer := ip{src: from, dst: p.to.outer, protocol: 17, ecn: ecn}.around(segment)
	return frameOf(p.to.outsideMAC, [6]byte{2, 0, 0, 0, 9, 9}, nil, outer)
}
