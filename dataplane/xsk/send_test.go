package xsk

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kernel plays the other side of a TX ring, one call at a time.
type kernel struct {
	tx      ring[unix.XDPDesc] // as the kernel reads it
	budget  uint32             // packets per call
	device  uint32             // packets the device still takes, then it is full
	answers []unix.Errno       // given first, without taking anything
	lazy    bool               // shows its index only when the ring is empty (before 6.17)
	taken   uint32             // taken but not shown
	calls   int
}

func (k *kernel) call() unix.Errno {
	k.calls++
	if len(k.answers) > 0 {
		answer := k.answers[0]
		k.answers = k.answers[1:]
		return answer
	}
	have := k.tx.ready(1<<20) - k.taken
	n := min(have, k.budget, k.device)
	k.taken += n
	k.device -= n
	if !k.lazy || n == have {
		k.tx.release(k.taken)
		k.taken = 0
	}
	if n < have {
		return unix.EAGAIN
	}
	return 0
}

func TestPump(t *testing.T) {
	const endless = 1 << 30
	type want struct {
		calls  int
		left   uint32
		full   uint64
		errors SendErrors
		retry  time.Duration
	}
	for _, c := range []struct {
		name   string
		queued int
		kernel kernel
		zc     bool
		want   want
	}{
		{"nothing", 0, kernel{budget: 32, device: endless}, false, want{retry: 0}},
		{"one call", 20, kernel{budget: 32, device: endless}, false, want{calls: 1, retry: retryFull}},
		{"EAGAIN with progress goes on", 100, kernel{budget: 32, device: endless}, false, want{calls: 4, retry: retryFull}},
		{"full at once", 100, kernel{budget: 32}, false, want{calls: 1, left: 100, full: 1, retry: retryFull}},
		{"full after 40", 100, kernel{budget: 32, device: 40}, false, want{calls: 3, left: 60, full: 1, retry: retryFull}},
		{"index shown late", 100, kernel{budget: 32, device: endless, lazy: true}, false, want{calls: 4, retry: retryFull}},
		{"index shown late, exact", 64, kernel{budget: 32, device: endless, lazy: true}, false, want{calls: 2, retry: retryFull}},
		{"index shown late, full", 100, kernel{budget: 32, device: 40, lazy: true}, false, want{calls: 4, left: 100, full: 1, retry: retryFull}},
		{"EINTR is tried again", 10, kernel{budget: 32, device: endless, answers: []unix.Errno{unix.EINTR}}, false,
			want{calls: 2, errors: SendErrors{Interrupted: 1}, retry: retryFull}},
		{"EBUSY", 10, kernel{budget: 32, device: endless, answers: []unix.Errno{unix.EBUSY}}, false,
			want{calls: 1, left: 10, errors: SendErrors{Busy: 1}, retry: retryFull}},
		{"ENOBUFS", 10, kernel{answers: []unix.Errno{unix.ENOBUFS}}, false,
			want{calls: 1, left: 10, errors: SendErrors{NoBuffers: 1}, retry: retryFull}},
		{"ENETDOWN", 10, kernel{answers: []unix.Errno{unix.ENETDOWN}}, false,
			want{calls: 1, left: 10, errors: SendErrors{Down: 1}, retry: retryDown}},
		{"ENXIO", 10, kernel{answers: []unix.Errno{unix.ENXIO}}, false,
			want{calls: 1, left: 10, errors: SendErrors{Gone: 1}, retry: retryDown}},
		{"unheard of", 10, kernel{answers: []unix.Errno{unix.EPERM}}, false,
			want{calls: 1, left: 10, errors: SendErrors{Other: 1}, retry: retryDown}},
		{"zero-copy is woken once", 100, kernel{budget: 32, device: endless}, true, want{calls: 1, left: 68, retry: retryFull}},
	} {
		t.Run(c.name, func(t *testing.T) {
			memory := plainRing[unix.XDPDesc](256, 1<<32-50)
			memory.flags.Store(unix.XDP_RING_NEED_WAKEUP)
			tx := memory.produce()
			for range c.queued {
				tx.push(unix.XDPDesc{})
			}
			tx.publish()
			c.kernel.tx = memory.consume()
			p := pump{wake: c.kernel.call, zeroCopy: c.zc, showsProgress: !c.kernel.lazy}
			var counted counters
			p.run(&tx, &counted)
			got := want{c.kernel.calls, tx.unsent(), counted.deviceFull.Load(), errorsOf(&counted), p.retry}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if kicks := counted.kicks.Load(); kicks != uint64(c.want.calls) {
				t.Errorf("%d kicks counted, %d made", kicks, c.want.calls)
			}
		})
	}
}

func errorsOf(c *counters) SendErrors {
	e := &c.errors
	return SendErrors{
		e.busy.Load(), e.noBuffers.Load(), e.down.Load(), e.gone.Load(), e.interrupted.Load(), e.other.Load(),
	}
}

func TestPumpSavesTheCallWhenNoneIsWanted(t *testing.T) {
	memory := plainRing[unix.XDPDesc](8, 0)
	tx := memory.produce()
	tx.push(unix.XDPDesc{})
	tx.publish()
	p := pump{wake: func() unix.Errno { t.Error("a call was made"); return 0 }, zeroCopy: true, showsProgress: true}
	p.run(&tx, new(counters))
}

// plainSocket is a socket on ordinary memory, with chunks of 2048 bytes. The
// test plays the kernel.
func plainSocket(ringSize int) *Socket {
	const frame = 2048
	s := &Socket{fd: -1, umem: make([]byte, 2*ringSize*frame), info: Info{RingSize: ringSize, FrameSize: frame, RoomSize: frame}}
	s.fill = plainRing[uint64](ringSize, 0).produce()
	s.tx = plainRing[unix.XDPDesc](ringSize, 0).produce()
	s.rx = plainRing[unix.XDPDesc](ringSize, 0).consume()
	s.done = plainRing[uint64](ringSize, 0).consume()
	s.pump = pump{wake: func() unix.Errno { return 0 }, retry: retryFull}
	s.shareOutReceiving()
	s.shareOutSending()
	return s
}

func TestBadDescriptorsFromTheKernelAreDropped(t *testing.T) {
	const frame, half = 2048, 4 * 2048
	for _, c := range []struct {
		d        unix.XDPDesc
		arrives  bool
		goesBack bool
	}{
		{unix.XDPDesc{Addr: 256, Len: 60}, true, true},
		{unix.XDPDesc{Addr: 256, Len: frame - 256}, true, true},
		{unix.XDPDesc{Addr: 256, Len: frame - 255}, false, true},
		{unix.XDPDesc{Addr: 3*frame + 256, Len: 100}, true, true},
		{unix.XDPDesc{Addr: 3*frame + 256, Len: 1<<32 - 1}, false, true},
		{unix.XDPDesc{Addr: half, Len: 60}, false, false},
		{unix.XDPDesc{Addr: 2 * half, Len: 60}, false, false},
		{unix.XDPDesc{Addr: 1<<64 - 1, Len: 60}, false, false},
	} {
		t.Run(fmt.Sprintf("%+v", c.d), func(t *testing.T) {
			s := plainSocket(4)
			s.fill.consumer.Add(1) // the kernel took a chunk
			s.rx.entries[0] = c.d
			s.rx.producer.Add(1)
			packets := s.Recv()
			if arrived := len(packets) == 1; arrived != c.arrives {
				t.Fatalf("%d packets", len(packets))
			}
			if c.arrives && len(packets[0]) != int(c.d.Len) {
				t.Errorf("%d bytes, want %d", len(packets[0]), c.d.Len)
			}
			if bad := s.counted.badDescriptors.Load(); bad != 0 == c.arrives {
				t.Errorf("%d bad descriptors counted", bad)
			}
			s.Recv()
			if back := s.fill.producer.Load() == 5; back != c.goesBack {
				t.Errorf("chunk went back: %v, want %v", back, c.goesBack)
			}
		})
	}
}

func TestBadCompletionsAreDropped(t *testing.T) {
	const frame, half = 2048, 4 * 2048
	for _, c := range []struct {
		name      string
		addresses []uint64
		bad       uint64
		unused    int // of 4, two of which were on their way
	}{
		{"both", []uint64{half + 18, half + frame + 18}, 0, 4},
		{"receiving half", []uint64{0, half}, 1, 3},
		{"beyond", []uint64{2 * half, 1<<64 - 1}, 2, 2},
		{"the same twice", []uint64{half + 18, half}, 1, 3},
		{"more than were sent", []uint64{half, half, half}, 2, 3},
		{"never sent", []uint64{half + 2*frame}, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := plainSocket(4)
			for range 2 {
				s.Commit(s.Room()[18:78])
			}
			copy(s.done.entries, c.addresses)
			s.done.producer.Add(uint32(len(c.addresses)))
			s.Flush()
			if bad := s.counted.badDescriptors.Load(); bad != c.bad || len(s.unused) != c.unused {
				t.Errorf("%d bad, %d unused; want %d and %d", bad, len(s.unused), c.bad, c.unused)
			}
		})
	}
}

// The most recently used chunk comes first, because it is still in cache.
func TestRoomPrefersWarmChunks(t *testing.T) {
	s := plainSocket(4)
	first := s.Room()
	s.Commit(first[:60])
	s.done.entries[0] = s.tx.entries[0].Addr
	s.done.producer.Add(1)
	s.tx.consumer.Add(1)
	s.Flush()
	if &s.Room()[0] != &first[0] {
		t.Error("another chunk than the one just sent")
	}
}

// Rooms that are not committed come back at Flush, wherever they lie between
// those that are, and packets leave in the order of their Commits.
func TestRoomsNotCommittedCostNothing(t *testing.T) {
	s := plainSocket(8)
	next, want := uint32(0), uint64(0)
	for pattern := range 1 << 8 {
		var rooms [8][]byte
		for i := range rooms {
			if rooms[i] = s.Room(); rooms[i] == nil {
				t.Fatalf("pattern %08b: room for %d of 8 packets", pattern, i)
			}
		}
		if s.Room() != nil {
			t.Fatalf("pattern %08b: a ninth room", pattern)
		}
		for i := range rooms {
			if i = 7 - i; pattern>>i&1 == 1 {
				rooms[i][i] = byte(want)
				s.Commit(rooms[i][i : i+60])
				want++
			}
		}
		s.Flush()
		for sent := s.tx.producer.Load(); next != sent; next++ {
			d := s.tx.entries[next&s.tx.mask]
			if number := s.umem[d.Addr]; d.Len != 60 || number != byte(next) {
				t.Fatalf("pattern %08b: descriptor %+v of packet %d, want number %d", pattern, d, number, byte(next))
			}
			s.done.entries[next&s.done.mask] = d.Addr
		}
		s.done.producer.Store(next)
		s.tx.consumer.Store(next)
		if uint64(next) != want {
			t.Fatalf("pattern %08b: %d packets left, want %d", pattern, next, want)
		}
	}
	if bad := s.counted.badDescriptors.Load(); bad != 0 {
		t.Errorf("%d bad descriptors", bad)
	}
}

// A kernel that shows late how far it has read the ring must not see entries
// overwritten: room ends with the ring, however many chunks are back.
func TestRoomNeedsARingEntryToo(t *testing.T) {
	s := plainSocket(4)
	for range 4 {
		s.Commit(s.Room()[:60])
	}
	for i := range 4 {
		s.done.entries[i] = s.tx.entries[i].Addr
	}
	s.done.producer.Add(4)
	s.tx.consumer.Add(2)
	s.Flush()
	for i := range 2 {
		if s.Room() == nil {
			t.Fatalf("no room for packet %d of 2", i)
		}
	}
	if s.Room() != nil {
		t.Error("room for a third packet in a ring with two free entries")
	}
}
