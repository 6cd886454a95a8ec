package zmtp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// TestMessages sends runs of messages of many sizes, and compares what arrives.
func TestMessages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var runs [][]byte
	var want []byte
	messages := 0
	for _, sizes := range [][]int{{0}, {1, 2, 3}, {255, 256}, {MaxRecord - 9}, {MaxRecord - 8}, {MaxRecord}, {1 << 20, 0, 7}, {9, 3 * MaxRecord}, {300_000, 300_000}} {
		for range 3 {
			var run []byte
			for range 1 + random.IntN(40)/max(1, sizes[0]/1000) {
				for i, size := range sizes {
					flags := More
					if i == len(sizes)-1 || random.IntN(2) == 0 {
						flags = 0
						messages++
					}
					body := bytes.Repeat([]byte{byte(i + size)}, size)
					run = AppendHeader(run, flags, size)
					run = append(run, body...)
				}
			}
			runs = append(runs, run)
			want = append(want, run...)
		}
	}
	check := func(t *testing.T, shared bool, write func([]Messages) error, read func() (Messages, error)) {
		done := make(chan error, 1)
		all := make([]Messages, len(runs))
		for i, run := range runs {
			all[i] = Messages{Wire: bytes.Clone(run), Shared: shared}
		}
		go func() { done <- write(all) }()
		var got []byte
		count := 0
		for count < messages {
			m, err := read()
			if err != nil {
				t.Fatal(err)
			}
			if m.Command != nil {
				continue
			}
			count += m.Count
			got = append(got, m.Wire...)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if count != messages || !bytes.Equal(got, want) {
			t.Errorf("%d messages in %d bytes, want %d in %d", count, len(got), messages, len(want))
		}
		for i, m := range all {
			if shared && !bytes.Equal(m.Wire, runs[i]) {
				t.Errorf("run %d is not what it was, and others look at it", i)
			}
		}
	}
	t.Run("QZMQ1", func(t *testing.T) {
		a, b := sessionsOver(t, tcpPipe)
		check(t, false, a.WriteMessages, b.ReadMessages)
		check(t, true, b.WriteMessages, a.ReadMessages)
	})
	t.Run("NULL", func(t *testing.T) {
		x, y := tcpPipe(t)
		a, b := readyNulls(t, x, y)
		check(t, true, a.WriteMessages, b.ReadMessages)
	})
}

// A message that comes in pieces, with an envelope before it, takes memory once, and
// that is nobody else's.
func TestGatheredTakesMemoryOnce(t *testing.T) {
	var g gathered
	body := bytes.Repeat([]byte("body"), 15<<10)
	large := func() []byte {
		g.take(piece{flags: More}, nil, mostAtOnceKnown)
		g.take(piece{flags: cut, total: uint64(len(body) + 4)}, body, mostAtOnceKnown)
		return g.take(piece{flags: rest, total: uint64(len(body) + 4)}, body[:4], mostAtOnceKnown)
	}
	small := func() []byte {
		g.take(piece{flags: More}, nil, mostAtOnceKnown)
		return g.take(piece{total: 4}, body[:4], mostAtOnceKnown)
	}
	for name, gather := range map[string]func() []byte{"large": large, "small": small} {
		first := gather()
		kept := bytes.Clone(first)
		if n := testing.AllocsPerRun(100, func() { gather() }); n != 1 {
			t.Errorf("a %s message takes memory %v times", name, n)
		}
		if !bytes.Equal(first, kept) || !bytes.HasSuffix(first, body[:4]) || first[0] != byte(More) {
			t.Errorf("a %s message is not what it was", name)
		}
	}
}

// Pieces of all sizes, padded or not, with commands between them and messages right
// behind, are put together as they were, wherever their records are opened.
func TestMessagesFromPieces(t *testing.T) {
	for name, padTo := range map[string]int{"plain": 0, "padded": 4096} {
		t.Run(name, func(t *testing.T) {
			a, b := sessionsOver(t, tcpPipe)
			if err := a.Configure(Options{PadTo: padTo}); err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(3, uint64(padTo)))
			sent := make(chan error, 1)
			var want [][]byte
			for range 60 {
				body := make([]byte, 70_000+random.IntN(400_000))
				for i := range body {
					body[i] = byte(random.Uint32())
				}
				want = append(want, body, body[:1+random.IntN(3000)])
			}
			go func() { sent <- writePieces(a, want, random) }()
			for i, body := range want {
				m, err := b.ReadMessages()
				for ; err == nil && m.Command != nil; m, err = b.ReadMessages() {
				}
				if err != nil {
					t.Fatal(err)
				}
				if whole := append(AppendHeader(nil, 0, len(body)), body...); m.Count != 1 || !bytes.Equal(m.Wire, whole) {
					t.Fatalf("message %d has changed: %d of %d bytes", i, len(m.Wire), len(whole))
				}
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// A part that has more room than it needs, since it grew, and whose last piece has the
// next parts behind it in its record: they stand in the memory that they are put into.
func TestMessagesFromPartsInOneRecord(t *testing.T) {
	a, b := sessionsOver(t, tcpPipe)
	large := make([]byte, mostAtOnceKnown+mostAtOnceKnown/2)
	for i := range large {
		large[i] = byte(i * i >> 7)
	}
	sent := make(chan error, 1)
	go func() {
		at := 0
		write := func(f Frame) {
			if err := a.WriteFrame(f); err != nil {
				sent <- err
			}
		}
		for ; len(large)-at > 1000; at += min(maxPiece, len(large)-at-1000) {
			write(Frame{Flags: More, Size: len(large), At: at, Body: large[at:][:min(maxPiece, len(large)-at-1000)]})
		}
		write(Frame{Flags: More, Size: len(large), At: at, Body: large[at:]})
		write(Frame{Flags: More, Size: 300, Body: large[1000:1300]})
		write(Frame{Flags: More, Body: nil})
		write(Frame{Size: 70, Body: large[2000:2070]})
		sent <- a.Flush()
	}()
	m, err := b.ReadMessages()
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i, part := range [][]byte{large, large[1000:1300], nil, large[2000:2070]} {
		flags := More
		if i == 3 {
			flags = 0
		}
		want = append(AppendHeader(want, flags, len(part)), part...)
	}
	if m.Count != 1 || !bytes.Equal(m.Wire, want) {
		t.Errorf("%d messages in %d bytes, want one in %d", m.Count, len(m.Wire), len(want))
	}
}

// writePieces writes large messages in pieces of any size, with commands between them,
// and each small one into the record that ends the large one before.
func writePieces(c *Conn, messages [][]byte, random *rand.Rand) error {
	for _, body := range messages {
		for at := 0; at < len(body); {
			n := min(len(body)-at, 1+random.IntN(1<<(1+random.IntN(16))))
			if len(body) < 4000 {
				n = len(body)
			}
			if err := c.WriteFrame(Frame{Size: len(body), At: at, Body: body[at : at+n]}); err != nil {
				return err
			}
			at += n
			if random.IntN(4) == 0 {
				if err := c.WriteFrame(Frame{Flags: Command, Body: []byte("\x04PINGxx")}); err != nil {
					return err
				}
			}
			if at < len(body) && random.IntN(2) == 0 {
				if err := c.Flush(); err != nil {
					return err
				}
			}
		}
	}
	return c.Flush()
}
