package zmtp

import (
	"bytes"
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
	check := func(t *testing.T, write func([][]byte) error, read func() (Messages, error)) {
		done := make(chan error, 1)
		go func() { done <- write(runs) }()
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
	}
	t.Run("QZMQ1", func(t *testing.T) {
		a, b := sessionsOver(t, tcpPipe)
		check(t, a.WriteMessages, b.ReadMessages)
		check(t, b.WriteMessages, a.ReadMessages)
	})
	t.Run("NULL", func(t *testing.T) {
		x, y := tcpPipe(t)
		a, b := readyNulls(t, x, y)
		check(t, func(runs [][]byte) error { return a.WriteMessages(append([][]byte(nil), runs...)) }, b.ReadMessages)
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
