package zmtp

import (
	"bytes"
	"fmt"
	"io"
)

// GreetingLen is the length in bytes of a ZMTP 3 greeting.
const GreetingLen = 64

// Where the fields of a greeting stand, RFC 37 section "Protocol Grammar".
const (
	signatureEnd = 10 // 0xFF, 8 bytes of padding, 0x7F
	majorAt      = 10
	minorAt      = 11
	mechanismAt  = 12
	asServerAt   = 32
	mechanismLen = asServerAt - mechanismAt
)

// Greeting is what each side of a ZMTP connection says first. Padding and
// filler are free: libzmq puts a length into the padding to talk to ZMTP 1
// peers. They are kept because all 64 bytes are part of what QZMQ1 signs.
type Greeting [GreetingLen]byte

// NewGreeting returns the greeting of ZMTP 3.1 for a security mechanism.
// asServer is the security role, which has nothing to do with who listens. A
// mechanism that does not fit the grammar panics: it is a constant of the
// program.
func NewGreeting(mechanism string, asServer bool) Greeting {
	if len(mechanism) == 0 || len(mechanism) > mechanismLen {
		panic("zmtp: a mechanism's name has 1 to 20 characters")
	}
	for _, c := range []byte(mechanism) {
		if !isMechanismChar(c) {
			panic("zmtp: a mechanism's name is made of A-Z 0-9 - _ . +")
		}
	}
	var g Greeting
	g[0], g[signatureEnd-1] = 0xFF, 0x7F
	g[majorAt], g[minorAt] = 3, 1
	copy(g[mechanismAt:asServerAt], mechanism)
	if asServer {
		g[asServerAt] = 1
	}
	return g
}

// Mechanism is the name of the security mechanism, without its padding.
func (g *Greeting) Mechanism() string {
	return string(bytes.TrimRight(g[mechanismAt:asServerAt], "\x00"))
}

// AsServer says whether the sender takes the server's part in the mechanism.
func (g *Greeting) AsServer() bool { return g[asServerAt] == 1 }

// Accept says whether we, whose greeting is g, can go on with a peer whose
// greeting starts with the bytes of peer. Whatever is there is judged at once,
// since a peer of another protocol may never send 64 bytes.
//
// There is no second choice: another mechanism or an older version ends the
// connection, so that nobody in between can talk us down to it. The errors are
// ErrNotZMTP, ErrVersion, ErrMechanism and ErrRoles.
func (g *Greeting) Accept(peer []byte) error {
	if len(peer) > 0 && peer[0] != 0xFF {
		return ErrNotZMTP
	}
	if len(peer) >= signatureEnd && peer[signatureEnd-1] != 0x7F {
		return ErrNotZMTP
	}
	if len(peer) > majorAt && peer[majorAt] < 3 {
		return fmt.Errorf("%w: the peer speaks ZMTP %d", ErrVersion, peer[majorAt])
	}
	if len(peer) >= asServerAt {
		own, theirs := g[mechanismAt:asServerAt], peer[mechanismAt:asServerAt]
		if !bytes.Equal(own, theirs) {
			return fmt.Errorf("%w: we speak %q, the peer %q", ErrMechanism,
				g.Mechanism(), bytes.TrimRight(theirs, "\x00"))
		}
	}
	// A byte that is neither 0 nor 1 equals no role, so it is refused as well.
	if len(peer) > asServerAt && peer[asServerAt] != 1-g[asServerAt] {
		return fmt.Errorf("%w: our as-server is %d, the peer's %d", ErrRoles,
			g[asServerAt], peer[asServerAt])
	}
	return nil
}

// minor is the version of ZMTP 3 that the sender knows at least.
func (g *Greeting) minor() uint8 {
	if g[majorAt] > 3 {
		return 1
	}
	return g[minorAt]
}

// readGreeting reads the peer's greeting, however it is segmented, and refuses it at
// the first wrong byte.
func readGreeting(src io.Reader, in *inbuf, accept func([]byte) error) (Greeting, error) {
	for have := 0; have < GreetingLen; {
		if err := in.fill(src, have+1); err != nil {
			return Greeting{}, readError(err)
		}
		have = min(len(in.unread()), GreetingLen)
		if err := accept(in.unread()[:have]); err != nil {
			return Greeting{}, err
		}
	}
	peer := Greeting(in.unread()[:GreetingLen])
	in.consume(GreetingLen)
	return peer, nil
}

func isMechanismChar(c byte) bool {
	return 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '+'
}
