package main_test

import (
	"encoding/binary"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	recordHeader = 16
	recordTag    = 16
	streams      = 2 // one for each worker, of which there is one for each queue
)

// record is where the record starts in a captured frame: behind Ethernet, IPv4
// without options, and UDP.
const recordAt = 14 + 20 + 8

// withRecord makes a frame like f with another record in it; the lengths in the
// headers are those of that record.
func (f *frame) withRecord(record []byte) []byte {
	b := append(slices.Clone(f.b[:recordAt]), record...)
	ip := b[14:]
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	ip[10], ip[11] = 0, 0
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum))
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(record)))
	return b
}

// record is the record in the frame.
func (f *frame) record() []byte { return f.payload[8:] }

// attacker sits on the wire and sends frames to gateway B.
type attacker struct {
	fd     int
	victim *daemon
}

func (b *testbed) attacker(victim *daemon) *attacker {
	b.t.Helper()
	fd, err := b.packetSocket("wire", "to-b", 0)
	if err != nil {
		b.t.Fatalf("open the attacker's socket: %v", err)
	}
	b.t.Cleanup(func() { unix.Close(fd) })
	return &attacker{fd, victim}
}

// send puts frames on the wire and checks that the victim counts each of them
// under the names given, and nothing else.
func (a *attacker) send(t *testing.T, what string, want map[string]int, frames ...[]byte) {
	t.Helper()
	before := a.victim.metrics()
	for _, f := range frames {
		if _, err := unix.Write(a.fd, f); err != nil {
			t.Fatalf("%s: send: %v", what, err)
		}
	}
	var got map[string]int
	limit := time.Now().Add(3 * time.Second)
	for {
		got = map[string]int{}
		total := 0
		for name, n := range a.victim.metrics().since(before) {
			if isDrop(name) {
				got[reasonOf(name)] += int(n)
				total += int(n)
			}
		}
		// Workers publish once a batch, so what is right may take a moment.
		if maps.Equal(got, want) || time.Now().After(limit) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s: %d frames were counted as %v, not as %v", what, len(frames), got, want)
	}
}

// reasonOf is the reason in a sample's name; that of an exit of the XDP program
// is marked, because some names are those of a worker's reason too.
func reasonOf(sample string) string {
	for _, label := range []struct{ prefix, mark string }{{`reason="`, ""}, {`exit="`, "xdp "}} {
		if _, rest, found := strings.Cut(sample, label.prefix); found {
			name, _, _ := strings.Cut(rest, `"`)
			return label.mark + name
		}
	}
	return sample
}

// TestHostileRecords sends what somebody on the path could send. Each frame is
// counted under its own name, none gets in, and the session does not mind.
func TestHostileRecords(t *testing.T) { testHostile(t, newTestbed(t, "")) }

func testHostile(t *testing.T, b *testbed, settings ...string) {
	wire := b.onWire(isFrom(siteA))
	answers := b.onWire(func(f *frame) bool { return f.protocol == unix.IPPROTO_ICMP })
	gwA, victim := b.linked(settings...)
	genuine, delivered := b.holdBack(wire)
	attacker := b.attacker(victim)
	shaken := gwA.metrics().handshakes() + victim.metrics().handshakes()
	host := b.capture("host-b", "eth1", nil)

	t.Run("one bit flipped in the header", func(t *testing.T) {
		r := genuine.record()
		for bit := range recordHeader * 8 {
			changed := slices.Clone(r)
			changed[bit/8] ^= 1 << (bit % 8)
			want := "forged"
			switch at := bit / 8; {
			case at == 0:
				want = "xdp bad_type"
			case at == 1 && bit%8 >= 2: // the keys of the next three epochs lie ready
				want = "wrong_epoch"
			case binary.BigEndian.Uint16(changed[2:]) >= streams:
				want = "unknown_stream"
			case 4 <= at && at < 8:
				want = "xdp unknown_session"
			case delivered[[recordHeader]byte(changed)]:
				want = "replayed"
			}
			attacker.send(t, "bit "+strconv.Itoa(bit), map[string]int{want: 1}, genuine.withRecord(changed))
		}
	})
	t.Run("one bit flipped behind it", func(t *testing.T) {
		r := genuine.record()
		var frames [][]byte
		for at := recordHeader; at < len(r); at++ {
			if at < len(r)-recordTag && at%7 != 0 {
				continue // of the ciphertext a stride, of the tag every byte
			}
			changed := slices.Clone(r)
			changed[at] ^= 1 << (at % 8)
			frames = append(frames, genuine.withRecord(changed))
		}
		attacker.send(t, "flips", map[string]int{"forged": len(frames)}, frames...)
	})
	t.Run("truncated", func(t *testing.T) {
		r := genuine.record()
		short, forged := 0, 0
		var frames [][]byte
		for _, n := range []int{0, 1, 4, 8, 15, 16, 17, 31, 32, 33, 40, len(r) / 2, len(r) - 16, len(r) - 1} {
			frames = append(frames, genuine.withRecord(r[:n]))
			if n < recordHeader+recordTag {
				short++
			} else {
				forged++
			}
		}
		attacker.send(t, "cut", map[string]int{"xdp short_record": short, "forged": forged}, frames...)

		// The frame ends before the lengths in its headers do.
		whole := genuine.withRecord(r)
		attacker.send(t, "cut behind the IP header", map[string]int{"xdp malformed": 2}, whole[:40], whole[:len(whole)-1])
		lying := slices.Clone(whole)
		binary.BigEndian.PutUint16(lying[14+24:], uint16(len(r)+9))
		attacker.send(t, "UDP length too long", map[string]int{"xdp bad_length": 1}, lying)
	})
	t.Run("longer", func(t *testing.T) {
		attacker.send(t, "a byte more", map[string]int{"forged": 1}, genuine.withRecord(append(slices.Clone(genuine.record()), 0)))
	})
	t.Run("unknown session", func(t *testing.T) {
		r := slices.Clone(genuine.record())
		binary.BigEndian.PutUint32(r[4:], binary.BigEndian.Uint32(r[4:])+0x01234567)
		attacker.send(t, "unknown session", map[string]int{"xdp unknown_session": 1}, genuine.withRecord(r))
	})

	t.Run("genuine, then replayed", func(t *testing.T) {
		// All the forgeries have not used up its number.
		before := countFrames(host.all(), isProbe)
		if before != 0 {
			t.Errorf("%d of the forgeries got in", before)
		}
		attacker.send(t, "genuine", map[string]int{}, genuine.b)
		b.within(3*time.Second, "the genuine record is delivered", func() bool { return countFrames(host.all(), isProbe) == 1 })
		attacker.send(t, "replay", map[string]int{"replayed": 3}, genuine.b, genuine.b, genuine.b)
		if n := countFrames(host.all(), isProbe); n != 1 {
			t.Errorf("the packet was delivered %d times", n)
		}
	})

	for _, f := range answers.all() {
		t.Errorf("the kernel has answered: %v", f)
	}
	for _, to := range []string{hostB4, hostB6} {
		if !b.ping("host-a", to) {
			t.Errorf("no ping to %s any more", to)
		}
	}
	if n := gwA.metrics().handshakes() + victim.metrics().handshakes(); n != shaken {
		t.Errorf("%.0f handshakes were made by what was sent", n-shaken)
	}
	gwA.running()
	victim.running()
}

const probePort = 7777

// isProbe knows the packet that holdBack has sealed.
func isProbe(f *frame) bool { return f.protocol == unix.IPPROTO_UDP && f.dstPort == probePort }

// holdBack has gateway A seal one packet, a UDP datagram, and keeps the record
// from arriving, by taking gateway B off the bridge for a moment. It also gives
// the headers of all records before it; these have arrived. wire has seen all of
// the link's.
func (b *testbed) holdBack(wire *capture) (held *frame, delivered map[[recordHeader]byte]bool) {
	b.t.Helper()
	for range 3 {
		if !b.ping("host-a", hostB4) {
			b.t.Fatal("no ping")
		}
	}
	before := len(wire.all())
	b.run("wire", "ip", "link", "set", "dev", "to-b", "nomaster")
	err := b.enter("host-a", func() error {
		conn, err := net.Dial("udp", net.JoinHostPort(hostB4, strconv.Itoa(probePort)))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write(make([]byte, 300))
		return err
	})
	if err != nil {
		b.t.Fatalf("send the packet to be held back: %v", err)
	}
	b.within(3*time.Second, "the record is on the wire", func() bool { return len(wire.all()) > before })
	b.run("wire", "ip", "link", "set", "dev", "to-b", "master", "wire")
	all := wire.all()
	if len(all) != before+1 {
		b.t.Fatalf("%d records, not one, came from one packet", len(all)-before)
	}
	delivered = map[[recordHeader]byte]bool{}
	for _, f := range all[:before] {
		delivered[[recordHeader]byte(f.record())] = true
	}
	return all[before], delivered
}
