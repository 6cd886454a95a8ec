package relay

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// What test_heartbeats of libzmq checks, through two relays, so under QZMQ on the way:
// heartbeats are the programs' and go from end to end. Its cases about the range of
// socket options are about libzmq alone; what they can put on the wire is in
// TestPingLimits.

// beatingPairs are the types that it tries, connected and bound.
func beatingPairs() []string {
	return []string{"DEALER ROUTER", "REQ REP", "PULL PUSH", "SUB PUB", "PAIR PAIR"}
}

// rawPeer is a peer behind the near relay that is no program of libzmq.
func (c *chain) rawPeer() *zmtp.Null {
	c.t.Helper()
	at, err := ParseEndpoint(c.front)
	if err != nil {
		c.t.Fatal(err)
	}
	return dialPlain(c.t, at, metadataOf("DEALER", ""))
}

// readCommand gives the body of the next frame, which has to be this command.
func readCommand(t *testing.T, n *zmtp.Null, name string) []byte {
	t.Helper()
	n.SetReadDeadline(time.Now().Add(5 * time.Second))
	m, err := n.ReadMessage()
	if err != nil || string(m.Command) != name {
		t.Fatalf("for %s comes %q, %v", name, m.Command, err)
	}
	return bytes.Clone(m.Parts[0])
}

// A ROUTER beats, and cuts the peer that says nothing, or only beats itself and does not
// answer.
func TestSilentPeer(t *testing.T) {
	for name, pings := range map[string]bool{"silent": false, "asks and does not answer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, "tcp")
			server := c.python("beats", "none", "ROUTER", "100", "400", "0", "server")
			server.await("bound", 5*time.Second)
			n := c.rawPeer()
			defer n.Close()
			server.await("found", 5*time.Second)
			if ttl := readCommand(t, n, "PING"); !bytes.Equal(ttl[:2], []byte{0, 0}) {
				t.Errorf("its PING has the body %x", ttl)
			}
			if pings { // which is a sign of life, so only the last one counts
				n.WriteCommand("PING", []byte("\x00\x00context"))
				for {
					n.SetReadDeadline(time.Now().Add(5 * time.Second))
					m, err := n.ReadMessage()
					if err != nil {
						t.Fatalf("no PONG: %v", err)
					}
					if string(m.Command) == "PONG" && string(m.Parts[0]) == "context" {
						break
					}
				}
			}
			server.await("lost", 5*time.Second)
			for end := time.Now().Add(5 * time.Second); ; {
				n.SetReadDeadline(end)
				if _, err := n.ReadMessage(); err != nil {
					if time.Now().After(end) {
						t.Error("the peer is not told")
					}
					break
				}
			}
		})
	}
}

// A PING is answered with its context, whatever that is, and the longest TTL is borne;
// libzmq takes 16 bytes of a context, as ZMTP allows, and a relay passes what there is.
func TestPingLimits(t *testing.T) {
	c := newChain(t, "tcp")
	server := c.python("beats", "none", "ROUTER", "0", "0", "0", "none")
	server.await("bound", 5*time.Second)
	n := c.rawPeer()
	defer n.Close()
	server.await("found", 5*time.Second)
	sixteen := strings.Repeat("sixteen.", 2)
	for _, tc := range []struct{ ping, pong string }{
		{"\x00\x00", ""},
		{"\x00\x0ax", "x"},
		{"\xff\xff" + sixteen, sixteen},
		{"\xff\xff" + sixteen + "and more", sixteen},
		{"\x00\x00\x00\xff\x00", "\x00\xff\x00"},
	} {
		n.WriteCommand("PING", []byte(tc.ping))
		if pong := readCommand(t, n, "PONG"); string(pong) != tc.pong {
			t.Errorf("PING %q is answered %q", tc.ping, pong)
		}
	}
	select {
	case l := <-server.lines:
		t.Errorf("the peer is %s", l)
	default:
	}
}

// Who said for how long it is to be believed alive, and then says nothing, is lost.
func TestTimeToLive(t *testing.T) {
	for _, pair := range beatingPairs() {
		t.Run(pair, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, "tcp")
			types := strings.Fields(pair)
			p := c.python("beats", types[0], types[1], "400", "400", "100", "client")
			for _, event := range []string{"bound", "found", "lost", "found", "lost"} {
				p.await(event, 10*time.Second)
			}
		})
	}
}

// Who beats is not lost, and neither is one whose partner alone beats.
func TestAliveByHeartbeats(t *testing.T) {
	for _, pair := range beatingPairs() {
		t.Run(pair, func(t *testing.T) {
			t.Parallel()
			var all []*process
			for _, beaters := range []string{"both", "server"} {
				c := newChain(t, "tcp")
				types := strings.Fields(pair)
				p := c.python("beats", types[0], types[1], "100", "500", "600", beaters)
				p.await("bound", 5*time.Second)
				p.await("found", 10*time.Second)
				all = append(all, p)
			}
			time.Sleep(2 * time.Second) // twenty beats
			for _, p := range all {
				select {
				case l := <-p.lines:
					t.Errorf("a peer that is alive is %s: %v %s", l, p.cmd.Args, p.stderr())
				default:
				}
			}
		})
	}
}
