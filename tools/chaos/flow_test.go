package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// What a history looks like: an offer for every number, what was accepted, and what
// came over which connection.
type came struct {
	connection string
	seq        uint64
}

// The model finds what is wrong in a history, and nothing in one that is right.
func TestModelFindsWhatIsWrong(t *testing.T) {
	run := func(connection string, seqs ...uint64) (all []came) {
		for _, s := range seqs {
			all = append(all, came{connection, s})
		}
		return all
	}
	for _, c := range []struct {
		name string
		promises
		sent uint64
		owed []span
		came []came
		want string // "" for nothing
	}{
		{name: "everything in order", promises: promises{gapless: true, lossless: true}, sent: 3, came: run("a", 1, 2, 3)},
		{name: "the end of a connection is lost", promises: promises{gapless: true}, sent: 6, came: append(run("a", 1, 2), run("b", 5, 6)...)},
		{name: "an old connection is read late", sent: 4, came: append(run("b", 3, 4), run("a", 1, 2)...)},
		{name: "gaps where they may be", sent: 9, came: run("a", 1, 4, 9)},
		{name: "what is owed has come", sent: 9, owed: []span{{4, 5}}, came: run("a", 4, 5, 9)},
		{name: "a duplicate", sent: 3, came: run("a", 1, 2, 2), want: "message 2 has come twice"},
		{name: "a duplicate over another connection", sent: 3, came: append(run("a", 1, 2), run("b", 2, 3)...), want: "message 2 has come twice"},
		{name: "a reorder", sent: 3, came: run("a", 1, 3, 2), want: "message 2 comes after 3"},
		{name: "a gap within a connection", promises: promises{gapless: true}, sent: 4, came: run("a", 1, 4), want: "messages 2 to 3 are missing within a connection"},
		{name: "never sent", sent: 2, came: run("a", 1, 2, 3), want: "message 3 was never sent"},
		{name: "number nothing", sent: 2, came: run("a", 0), want: "message 0 was never sent"},
		{name: "a loss where nobody touches the connection", promises: promises{lossless: true}, sent: 3, came: run("a", 1, 2), want: "1 messages are lost that nothing may lose, the first of them 3"},
		{name: "a loss of what is owed", sent: 9, owed: []span{{2, 2}, {4, 6}}, came: run("a", 2, 4, 9), want: "2 messages are lost that nothing may lose, the first of them 5; 2 of them within a connection"},
		{name: "a loss with a connection", sent: 9, owed: []span{{1, 9}}, came: append(run("a", 1, 2), run("b", 5, 6, 7, 8, 9)...), want: "2 messages are lost that nothing may lose, the first of them 3; 0 of them within a connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &verdict{}
			f := newFlow(1, "PUSH to PULL", c.promises, v)
			for seq := range c.sent {
				f.offer(seq + 1)
				f.accept(seq + 1)
			}
			for _, s := range c.owed {
				f.owe(s.first, s.last)
			}
			for _, m := range c.came {
				f.receive(m.connection, m.seq)
			}
			f.settle()
			found := v.findings()
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) == 0 || !strings.Contains(found[0], c.want)) {
				t.Errorf("found %q, wanted %q", found, c.want)
			}
		})
	}
}

// A message that has changed in any way is none.
func TestMessageIsWhole(t *testing.T) {
	a := author{seed: 7}
	seq := uint64(1)
	for len(a.write(3, seq)) != 4 || slices.ContainsFunc(a.write(3, seq), func(p []byte) bool { return len(p) < 2 }) {
		seq++ // one with all parts
	}
	whole := a.write(3, seq)
	if id, n, err := a.read(whole); id != 3 || n != seq || err != nil {
		t.Fatalf("read %d, %d, %v", id, n, err)
	}
	swapped := slices.Clone(whole)
	swapped[1], swapped[2] = whole[2], whole[1]
	flipped := slices.Clone(whole)
	flipped[3] = bytes.Clone(whole[3])
	flipped[3][len(flipped[3])-1] ^= 1
	renumbered := a.write(3, seq)
	renumbered[0][headLength-1]++
	short := slices.Clone(whole)
	short[2] = whole[2][1:]
	for name, m := range map[string][][]byte{
		"swapped": swapped, "flipped": flipped, "renumbered": renumbered, "short": short, "a part less": whole[:3],
		"a part more": append(slices.Clone(whole), nil), "no head": whole[1:], "nothing": nil,
		"another author's": author{seed: 8}.write(3, seq),
	} {
		if _, _, err := a.read(m); err == nil {
			t.Errorf("%s is taken for whole", name)
		}
	}
}
