package superframe

import (
	"bytes"
	"fmt"
	"testing"
)

const recordLen = 1452 // the most that fits behind IPv6

// records are datagrams of one flow whose checksums say nothing: none, and a wrong
// one. The last is shorter.
func records(v6 bool) (frames [][]byte) {
	for i, size := range []int{recordLen, recordLen, recordLen, 900} {
		s := plain(size)
		s.udp, s.v6, s.options = true, v6, nil
		s.payload[0] = byte(i)
		b := s.bytes()
		l, _ := read(b, len(b))
		b[l.checksumAt()], b[l.checksumAt()+1] = byte(i&1), 0
		frames = append(frames, b)
	}
	return frames
}

// TestSealedMerge: what proves itself merges whatever its checksums say, and all
// that leaves is to be summed.
func TestSealedMerge(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, count := range []int{1, 4} {
			sent := clones(records(v6)[:count])
			pieces, headers := departFrom(newCoalescer(true), clones(sent))
			if len(pieces) != 1 {
				t.Fatalf("IPv6 %t: %d datagrams left as %d pieces", v6, count, len(pieces))
			}
			piece, v := pieces[0], headers[0]
			l, ok := read(piece, len(piece))
			if !ok || l.end != len(piece) {
				t.Fatalf("IPv6 %t: the headers of %d datagrams are wrong", v6, count)
			}
			want := vnet{flags: needsChecksum, start: uint16(l.transport), inStart: 6}
			if count > 1 {
				want.gso, want.headerLen, want.size = gsoUDP, uint16(l.payload), recordLen
			}
			if v != want {
				t.Errorf("IPv6 %t, %d datagrams: %+v, want %+v", v6, count, v, want)
			}
			whole := bytes.Clone(piece)
			if begin(whole, &l); !bytes.Equal(whole, piece) {
				t.Errorf("IPv6 %t, %d datagrams: the checksum is not begun", v6, count)
			}
			got, why := arrive(newReceiver(1500, true), piece, v, 0, 0)
			if why != fine {
				t.Fatalf("IPv6 %t: %d datagrams cannot be cut: %v", v6, count, why)
			}
			samePayloads(t, got, sent)
		}
	}
}

func samePayloads(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d datagrams, want %d", len(got), len(want))
	}
	for i := range got {
		g, okG := read(got[i], len(got[i]))
		w, okW := read(want[i], len(want[i]))
		if !okG || !okW || !bytes.Equal(got[i][g.payload:g.end], want[i][w.payload:w.end]) {
			t.Errorf("datagram %d of %d arrived otherwise, %d bytes", i, len(want), len(got[i]))
		}
	}
}

// TestSealedThroughTheKernel: in one piece where the interface allows it, and cut
// and summed by the kernel where not. That two interfaces of a namespace have a
// group of sockets each is no obstacle.
func TestSealedThroughTheKernel(t *testing.T) {
	newVeth(t)
	openOn(t, "far", 2)
	near, sealed, plain := openSealed(t, "near", 2), openSealed(t, "far", 1)[0], openOn(t, "far", 1)[0]
	for _, state := range []string{"on", "off"} {
		for _, feature := range []string{"tx", "tx-udp-segmentation"} {
			offload(t, "near", feature, state)
		}
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("offloads %s, IPv6 %t", state, v6), func(t *testing.T) {
				before := sealed.Stats().ReceivedFrames
				sent := records(v6)
				dispatch(t, near[0], sent)
				samePayloads(t, collect(sealed, len(sent)), sent)
				if n := sealed.Stats().ReceivedFrames - before; state == "on" && n != 1 || state == "off" && n != 4 {
					t.Errorf("%d frames for 4 datagrams", n)
				}
				all := collect(plain, len(sent))
				samePayloads(t, all, sent)
				for i, frame := range all {
					if l, _ := read(frame, len(frame)); !verify(frame, &l) {
						t.Errorf("the checksum of datagram %d is wrong", i)
					}
				}
			})
		}
	}
}
