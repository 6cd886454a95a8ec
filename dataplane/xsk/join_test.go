package xsk

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	jumboMTU   = 9000
	jumboFrame = jumboMTU + 22 // with two VLAN tags
)

// jumboSizes lie on both sides of every edge: a chunk holds 3840 bytes of what
// arrives and 4096 of what is sent.
var jumboSizes = []int{60, 1514, 3840, 3841, 4096, 4097, 7680, 7681, 8192, jumboMTU + 14}

func TestFramesInSeveralChunks(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		w := newWireOf(t, native, jumboMTU)
		a := w.open(t, w.a, Config{RingSize: 1024, MaxFrame: jumboFrame})
		b := w.open(t, w.b, Config{RingSize: 1024, MaxFrame: jumboFrame})
		if got := a.Info(); !got.MultiBuffer || got.RoomSize != 16384 || got.MaxReceive != jumboFrame {
			t.Fatalf("info %+v", got)
		}
		const burst, total = 100, 3000
		bytes := uint64(0)
		for _, way := range []struct{ from, to *Socket }{{a, b}, {b, a}} {
			for seq := 0; seq < total; seq += burst {
				if n := sendOf(way.from, jumboSizes, uint64(seq), burst); n != burst {
					t.Fatalf("room for %d of %d packets", n, burst)
				}
				expectOf(t, way.to, jumboSizes, uint64(seq), burst)
			}
		}
		for seq := range total {
			bytes += uint64(jumboSizes[seq%len(jumboSizes)])
		}
		for _, s := range []*Socket{a, b} {
			got, err := s.Stats()
			check(t, err)
			want := Stats{
				ReceivedPackets: total, ReceivedBytes: bytes, SentPackets: total, SentBytes: bytes, Kicks: got.Kicks,
				Kernel: KernelStats{SendRingEmpty: got.Kernel.SendRingEmpty, FillRingEmpty: got.Kernel.FillRingEmpty},
			}
			if got != want {
				t.Errorf("stats\n got %+v\nwant %+v", got, want)
			}
		}
	})
}

// A frame may start anywhere in its room, also so that its first chunk holds
// less than an Ethernet header.
func TestFrameStartsAtTheEndOfAChunk(t *testing.T) {
	w := newWireOf(t, true, jumboMTU)
	a := w.open(t, w.a, Config{RingSize: 64, MaxFrame: jumboFrame})
	b := w.open(t, w.b, Config{RingSize: 64, MaxFrame: jumboFrame})
	offsets := []int{4095, 4090, 4083, 4082, 4062, 4096, 0}
	for i, offset := range offsets {
		frame := a.Room()[offset:][:jumboSizes[i]]
		compose(frame, uint64(i))
		a.Commit(frame)
	}
	a.Flush()
	expectOf(t, b, jumboSizes, 0, len(offsets))
}

// Frames that are longer than was asked for are dropped by name, whatever lies
// around them; frames that are shorter than they might be are not.
func TestLongerThanAskedFor(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		w := newWireOf(t, native, 40000)
		a := w.open(t, w.a, Config{RingSize: 1024, MaxFrame: 40014})
		b := w.open(t, w.b, Config{RingSize: 1024, MaxFrame: jumboFrame})
		for i, size := range []int{1514, jumboFrame, jumboFrame + 1, 60, 11521, 40014, 3841} {
			frame := a.Room()[:size]
			compose(frame, uint64(i))
			a.Commit(frame)
		}
		a.Flush()
		arriveInOrder(t, b, 0, 1, 3, 6)
		stats, err := b.Stats()
		check(t, err)
		if stats.TooLong != 3 {
			t.Errorf("%d packets counted as too long, want 3: %+v", stats.TooLong, stats)
		}
	})
}

// Without multi-buffer one chunk is the limit, also on a wire that carries more.
func TestEdgeOfOneChunk(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		w := newWireOf(t, native, jumboMTU)
		a := w.open(t, w.a, Config{RingSize: 64, MaxFrame: jumboFrame})
		b := w.open(t, w.b, Config{RingSize: 64, MaxFrame: 3840})
		if got := b.Info(); got.MultiBuffer || got.MaxReceive != 3840 || got.RoomSize != 4096 {
			t.Fatalf("info %+v", got)
		}
		for i, size := range []int{3840, 3841, 3840, jumboFrame - 8, 60} {
			frame := a.Room()[:size]
			compose(frame, uint64(i))
			a.Commit(frame)
		}
		a.Flush()
		arriveInOrder(t, b, 0, 2, 4)
		stats, err := b.Stats()
		check(t, err)
		if stats.Kernel.ReceiveDropped != 2 {
			t.Errorf("kernel counts %d dropped, want 2", stats.Kernel.ReceiveDropped)
		}
	})
}

// arriveInOrder expects just these packets.
func arriveInOrder(t *testing.T, s *Socket, want ...uint64) {
	t.Helper()
	var got []uint64
	for deadline := time.Now().Add(2 * time.Second); len(got) < len(want) && time.Now().Before(deadline); {
		Wait(10*time.Millisecond, nil, s)
		for _, packet := range s.Recv() {
			got = append(got, number(packet))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("packets %v arrived, want %v", got, want)
	}
}

// Chains as the kernel might show them, with the test in its place: 'n' parts of
// 1000 bytes each, more to follow or not, and parts that are no part of anything.
func TestChains(t *testing.T) {
	const part, more = 1000, unix.XDP_PKT_CONTD
	good := func(i uint64, options uint32) unix.XDPDesc {
		return unix.XDPDesc{Addr: i*2048 + recvHeadroom, Len: part, Options: options}
	}
	bad := unix.XDPDesc{Addr: 1 << 40, Len: part, Options: more}
	for _, c := range []struct {
		name    string
		bursts  [][]unix.XDPDesc
		packets [][]int // first bytes of the parts of each packet, per burst
		tooLong uint64
		bad     uint64
	}{
		{"whole", [][]unix.XDPDesc{{good(0, more), good(1, more), good(2, 0), good(3, 0)}},
			[][]int{{3, 1}}, 0, 0},
		{"cut by the batch", [][]unix.XDPDesc{{good(0, 0), good(1, more)}, {good(2, more)}, {good(3, 0), good(4, 0)}},
			[][]int{{1}, {}, {3, 1}}, 0, 0},
		{"as long as may be", [][]unix.XDPDesc{{good(0, more), good(1, more), good(2, more), good(3, 0)}},
			[][]int{{4}}, 0, 0},
		{"too long", [][]unix.XDPDesc{{good(0, more), good(1, more), good(2, more), good(3, more), good(4, more), good(5, 0), good(6, 0)}},
			[][]int{{1}}, 1, 0},
		{"a part that is none", [][]unix.XDPDesc{{good(0, more), bad, good(2, 0), good(3, more), good(4, 0)}},
			[][]int{{2}}, 1, 1},
		{"begins with none", [][]unix.XDPDesc{{bad, good(2, 0), good(3, 0)}}, [][]int{{1}}, 1, 1},
		{"no end for long", [][]unix.XDPDesc{{good(0, more), good(1, more), good(2, more)}, {good(3, more), good(4, more)}, {good(5, 0)}, {good(6, 0)}},
			[][]int{{}, {}, {}, {1}}, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := plainSocket(8)
			s.info.MultiBuffer = true
			s.joined = newJoiner(4 * part)
			for i := range s.umem {
				s.umem[i] = byte(i / 2048) // the chunk's number
			}
			at, first := uint32(0), byte(0)
			for i, burst := range c.bursts {
				for _, d := range burst {
					s.rx.entries[at] = d
					at++
				}
				s.fill.consumer.Store(at)
				s.rx.producer.Store(at)
				got := s.Recv()
				lengths := []int{}
				for _, packet := range got {
					lengths = append(lengths, len(packet)/part)
					for p := range slices.Chunk(packet, part) {
						if first = p[0]; !bytes.Equal(p, bytes.Repeat([]byte{first}, part)) {
							t.Error("a part is not of one chunk")
						}
					}
				}
				if !slices.Equal(lengths, c.packets[i]) {
					t.Errorf("burst %d: packets of %v parts, want %v", i, lengths, c.packets[i])
				}
			}
			if long, bad := s.counted.tooLong.Load(), s.counted.badDescriptors.Load(); long != c.tooLong || bad != c.bad {
				t.Errorf("%d too long and %d bad, want %d and %d", long, bad, c.tooLong, c.bad)
			}
			s.Recv()
			if back := s.fill.producer.Load() - 8; back != at-uint32(c.bad) {
				t.Errorf("%d chunks went back, want %d", back, at-uint32(c.bad))
			}
		})
	}
}

// The longest batches there can be fit into the memory taken at the start.
func TestJoinerHoldsABatch(t *testing.T) {
	j := newJoiner(10)
	j.add([]byte("x"), false) // its end comes with the first batch
	for round := range 3 {
		j.reuse()
		for i := range batch {
			if packet, broken := j.add([]byte{byte(i)}, i%2 == 0); broken || (packet != nil) != (i%2 == 0) {
				t.Fatalf("round %d: part %d gave %q, broken %v", round, i, packet, broken)
			}
		}
		if !j.open {
			t.Fatal("the last packet of the batch is not open")
		}
	}
}

// A socket that did not ask for several chunks is not confused by them.
func TestChainThatNobodyAskedFor(t *testing.T) {
	s := plainSocket(4)
	s.rx.entries[0] = unix.XDPDesc{Addr: 256, Len: 60, Options: unix.XDP_PKT_CONTD}
	s.rx.entries[1] = unix.XDPDesc{Addr: 2048 + 256, Len: 61}
	s.rx.producer.Add(2)
	s.fill.consumer.Add(2)
	if got := s.Recv(); len(got) != 1 || len(got[0]) != 61 || s.counted.badDescriptors.Load() != 1 {
		t.Errorf("%d packets, %d bad descriptors; want 1 and 1", len(got), s.counted.badDescriptors.Load())
	}
}

// Rooms of several chunks come back when the last chunk does, in any order.
func TestRoomOfSeveralChunks(t *testing.T) {
	s := plainSocket(8)
	s.info.RoomSize = 4 * 2048
	s.shareOutSending()
	for round := range 3 {
		first, second := s.Room(), s.Room()
		if len(first) != 4*2048 || cap(first) != 4*2048 || s.Room() != nil {
			t.Fatalf("round %d: not two rooms of four chunks", round)
		}
		s.Commit(first[2000:][:6000]) // 48 + 2048 + 2048 + 1856
		s.Commit(second[:2048])
		next := s.tx.next
		s.Flush()
		want := []uint32{48 | 1<<31, 2048 | 1<<31, 2048 | 1<<31, 1856, 2048}
		for i, want := range want {
			d := s.tx.entries[(next-5+uint32(i))&s.tx.mask]
			if got := d.Len | d.Options<<31; got != want {
				t.Errorf("round %d: descriptor %d is %+v", round, i, d)
			}
		}
		s.tx.consumer.Store(next)
		for i, n := range []uint32{4, 2, 0, 1} { // what is left over is in the third chunk
			s.done.entries[(next-5+uint32(i))&s.done.mask] = s.tx.entries[(next-5+n)&s.tx.mask].Addr
		}
		s.done.producer.Store(next - 1)
		s.Flush()
		if len(s.unused) != 1 {
			t.Fatalf("round %d: %d rooms are back, want 1", round, len(s.unused))
		}
		s.done.entries[(next-1)&s.done.mask] = s.tx.entries[(next-5+3)&s.tx.mask].Addr
		s.done.producer.Store(next)
		s.Flush()
	}
	if bad := s.counted.badDescriptors.Load(); bad != 0 || len(s.unused) != 2 {
		t.Errorf("%d bad descriptors, %d rooms", bad, len(s.unused))
	}
}

func TestBindWithoutMultiBuffer(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  Config
		answers []error
		flags   []uint16
		multi   bool
		err     error
	}{
		{"not asked for", Config{MaxFrame: 3840}, []error{nil}, []uint16{0}, false, nil},
		{"granted", Config{MaxFrame: 3841}, []error{nil}, []uint16{unix.XDP_USE_SG}, true, nil},
		{"unknown", Config{MaxFrame: 3841, Mode: ModeCopy}, []error{unix.EINVAL, nil},
			[]uint16{unix.XDP_USE_SG | unix.XDP_COPY, unix.XDP_COPY}, false, nil},
		{"unknown, and no such queue", Config{MaxFrame: 3841}, []error{unix.EINVAL, unix.EINVAL},
			[]uint16{unix.XDP_USE_SG, 0}, false, unix.EINVAL},
		{"not in zero-copy", Config{MaxFrame: 3841, Mode: ModeZeroCopy}, []error{unix.EOPNOTSUPP},
			[]uint16{unix.XDP_USE_SG | unix.XDP_ZEROCOPY}, false, unix.EOPNOTSUPP},
		{"taken, then interrupted", Config{MaxFrame: 3841}, []error{unix.EBUSY, unix.EINTR, nil},
			[]uint16{unix.XDP_USE_SG, unix.XDP_USE_SG, unix.XDP_USE_SG}, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.FrameSize = 4096
			var flags []uint16
			multi, err := bindPatiently(c.config, func(f uint16) error {
				flags = append(flags, f&^unix.XDP_USE_NEED_WAKEUP)
				return c.answers[len(flags)-1]
			})
			if multi != c.multi || !errors.Is(err, c.err) || !slices.Equal(flags, c.flags) {
				t.Errorf("multi %v, error %v, flags %v; want %v, %v, %v", multi, err, flags, c.multi, c.err, c.flags)
			}
		})
	}
}
