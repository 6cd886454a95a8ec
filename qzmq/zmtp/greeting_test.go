package zmtp

import (
	"errors"
	"testing"
)

// libzmqNULL is what libzmq 4.3.4 sends: the padding says 1, the minor 0 or 1.
func libzmqNULL() []byte {
	g := make([]byte, GreetingLen)
	g[0], g[8], g[9], g[10], g[11] = 0xFF, 1, 0x7F, 3, 1
	copy(g[12:], "NULL")
	return g
}

func TestGreetingLayout(t *testing.T) {
	g := NewGreeting("QZMQ1", true)
	want := "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x01QZMQ1"
	if string(g[:len(want)]) != want {
		t.Fatalf("greeting starts with %q", g[:len(want)])
	}
	for i, b := range g[len(want):] {
		if at := len(want) + i; b != 0 && at != 32 {
			t.Errorf("byte %d is %#x", at, b)
		}
	}
	if g[32] != 1 || !g.AsServer() || g.Mechanism() != "QZMQ1" {
		t.Errorf("as-server %d, mechanism %q", g[32], g.Mechanism())
	}
}

func TestGreetingAccept(t *testing.T) {
	with := func(changes ...func(*Greeting)) []byte {
		g := NewGreeting("QZMQ1", true)
		for _, c := range changes {
			c(&g)
		}
		return g[:]
	}
	set := func(at int, b byte) func(*Greeting) { return func(g *Greeting) { g[at] = b } }
	for _, c := range []struct {
		name string
		peer []byte
		want error
		from int // the first length at which the refusal can be known
	}{
		{"right", with(), nil, 0},
		{"padding is free", with(set(1, 9), set(8, 1)), nil, 0},
		{"filler is free", with(set(33, 1), set(63, 0xFF)), nil, 0},
		{"later minor", with(set(11, 7)), nil, 0},
		{"earlier minor", with(set(11, 0)), nil, 0},
		{"later major", with(set(10, 4)), nil, 0},
		{"http", []byte("GET / HTTP/1.1\r\n\r\n"), ErrNotZMTP, 1},
		{"signature's start", with(set(0, 0xFE)), ErrNotZMTP, 1},
		{"signature's end", with(set(9, 0x7E)), ErrNotZMTP, 10},
		{"ZMTP 2", with(set(10, 1)), ErrVersion, 11},
		{"ZMTP 1 is a short identity frame", []byte{1, 0}, ErrNotZMTP, 1},
		{"NULL", libzmqNULL(), ErrMechanism, 32},
		{"CURVE", with(func(g *Greeting) { copy(g[12:], "CURVE") }), ErrMechanism, 32},
		{"longer name", with(set(17, '0')), ErrMechanism, 32},
		{"name after the padding", with(set(31, 'X')), ErrMechanism, 32},
		{"both clients", with(set(32, 0)), ErrRoles, 33},
		{"no role", with(set(32, 2)), ErrRoles, 33},
		{"no role, high", with(set(32, 0xFF)), ErrRoles, 33},
	} {
		own := NewGreeting("QZMQ1", false)
		for n := 0; n <= len(c.peer); n++ {
			want := c.want
			if n < c.from {
				want = nil
			}
			if err := own.Accept(c.peer[:n]); !errors.Is(err, want) {
				t.Errorf("%s: after %d bytes: %v, want %v", c.name, n, err, want)
			}
		}
	}
	own := NewGreeting("QZMQ1", true)
	if err := own.Accept(with()); !errors.Is(err, ErrRoles) {
		t.Errorf("two servers: %v", err)
	}
}

func TestNewGreetingRefusesNames(t *testing.T) {
	for _, name := range []string{"", "qzmq", "QZMQ 1", "A23456789012345678901", "A\x00"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", name)
				}
			}()
			NewGreeting(name, false)
		}()
	}
}

func FuzzGreeting(f *testing.F) {
	own := NewGreeting("QZMQ1", false)
	good := NewGreeting("QZMQ1", true)
	f.Add(good[:])
	f.Add(good[:33])
	f.Add(own[:])
	f.Add(libzmqNULL())
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := own.Accept(b)
		// Refused once is refused for good, whatever follows.
		for n := range b {
			if own.Accept(b[:n]) != nil && err == nil {
				t.Fatalf("refused after %d bytes, taken after %d", n, len(b))
			}
		}
		if err != nil || len(b) < GreetingLen {
			return
		}
		g := Greeting(b[:GreetingLen])
		if g.Mechanism() != "QZMQ1" || !g.AsServer() || g[majorAt] < 3 {
			t.Fatalf("taken: %x", g)
		}
		back := g.Accept(own[:])
		if back != nil {
			t.Fatalf("we take it, it would not take us: %v", back)
		}
	})
}
