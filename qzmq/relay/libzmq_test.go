package relay

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// The suite against libzmq: programs.py on both sides of two relays.

func TestPairs(t *testing.T) {
	c := newChain(t, "tcp")
	for _, pair := range []string{
		"REQ/REP", "DEALER/ROUTER", "DEALER/REP", "REQ/ROUTER", "DEALER/DEALER", "ROUTER/ROUTER",
		"PUSH/PULL", "PUB/SUB", "XPUB/XSUB", "PUB/XSUB", "XPUB/SUB", "PAIR/PAIR",
	} {
		for _, binder := range []string{"first", "second"} {
			t.Run(fmt.Sprintf("%s, the %s bound", pair, binder), func(t *testing.T) {
				c.t = t
				c.passes(40*time.Second, "pair", pair, binder)
			})
		}
	}
}

// 16 and 64 MiB in one frame.
func TestLarge(t *testing.T) {
	c := newChain(t, "tcp")
	c.passes(60*time.Second, "pair", "REQ/REP", "second", "large")
	c.passes(60*time.Second, "pair", "PUSH/PULL", "first", "large")
	for name, p := range map[string]*process{"near": c.near, "far": c.far} {
		if rss := p.rss(); rss > 40<<20 {
			t.Errorf("the %s relay has %d MiB after messages of 64 MiB", name, rss>>20)
		}
	}
}

func TestUnixSockets(t *testing.T) {
	for _, transport := range []string{"ipc", "abstract"} {
		c := newChain(t, transport)
		c.passes(40*time.Second, "pair", "REQ/REP", "second")
		c.passes(40*time.Second, "pair", "PUB/SUB", "first")
	}
}

func TestPatterns(t *testing.T) {
	c := newChain(t, "tcp")
	for _, name := range []string{"identities", "robin", "subscriptions", "incompatible", "late", "pressure", "linger"} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.passes(40*time.Second, name)
		})
	}
}

// A program can ask libzmq who sent a message.
func TestMetadataReachesPrograms(t *testing.T) {
	c := newChain(t, "tcp")
	c.passes(20*time.Second, "metadata", fmt.Sprintf("%v,%v", c.nearID.Fingerprint(), c.farID.Fingerprint()))
}

// Whatever is started anew, the programs find each other again.
func TestRestarts(t *testing.T) {
	c := newChain(t, "tcp")
	server, client := c.python("echo_server"), c.python("echo_client")
	client.await("works", 10*time.Second)
	for _, tc := range []struct {
		name    string
		restart func()
	}{
		{"far relay", func() { c.far.kill(); client.await("broken", 10*time.Second); c.startFar() }},
		{"near relay", func() { c.near.kill(); client.await("broken", 10*time.Second); c.startNear() }},
		{"far relay, in good order", func() {
			c.far.signal(syscall.SIGTERM)
			client.await("broken", 10*time.Second)
			c.far.cmd.Wait()
			c.startFar()
		}},
		{"server", func() {
			server.kill()
			client.await("broken", 10*time.Second)
			server = c.python("echo_server")
		}},
		{"client", func() { client.kill(); client = c.python("echo_client") }},
	} {
		began := time.Now()
		tc.restart()
		client.await("works", 15*time.Second)
		t.Logf("%s: works again after %v", tc.name, time.Since(began).Round(time.Millisecond))
	}
}

// A client that was there long before its server, or before the far relay, is served soon
// when that comes: it is not held for as long as was failed.
func TestLongAbsence(t *testing.T) {
	for _, absent := range []string{"server", "far relay"} {
		t.Run(absent, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, "tcp")
			if absent == "far relay" {
				c.far.kill()
				c.python("echo_server")
			}
			client := c.python("knocking", "DEALER")
			client.say("word")
			time.Sleep(3 * time.Second)
			if absent == "far relay" {
				c.startFar()
			} else {
				c.python("echo_server")
			}
			began := time.Now()
			client.await("served", 10*time.Second)
			if d := time.Since(began); d > time.Second {
				t.Errorf("the client is served %v after the %s came", d, absent)
			} else {
				t.Logf("served after %v", d.Round(time.Millisecond))
			}
		})
	}
}

// Subscriptions are there again after a connection was lost.
func TestResubscription(t *testing.T) {
	c := newChain(t, "tcp")
	p := c.python("resubscribe")
	p.await("served", 10*time.Second)
	c.far.kill()
	c.startFar()
	p.await("served", 10*time.Second)
	p.await("passed", 10*time.Second)
}

// Heartbeats pass end to end: who is alive is not lost, and a far side that is frozen
// is noticed by the program itself.
func TestHeartbeats(t *testing.T) {
	c := newChain(t, "tcp")
	p := c.python("heartbeat")
	p.await("found", 10*time.Second)
	select {
	case l := <-p.lines:
		t.Fatalf("a peer that is alive is %s: %s", l, p.stderr())
	case <-time.After(2500 * time.Millisecond):
	}
	c.far.signal(syscall.SIGSTOP)
	began := time.Now()
	p.await("lost", 5*time.Second)
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	c.far.signal(syscall.SIGCONT)
	p.await("found", 30*time.Second)
}

// A hundred peers that do not read cost a relay less than 32 MiB in all.
func TestStalledPeers(t *testing.T) {
	// Over TCP the kernel would hold twenty megabytes of each, all of the machine's memory
	// for TCP together, and connections of other programs would suffer.
	c := newChain(t, "ipc")
	p := c.python("stalled", "100")
	p.await("stalled", 60*time.Second)
	for name, r := range map[string]*process{"near": c.near, "far": c.far} {
		rss := r.rss()
		t.Logf("%s relay: %.1f MiB with 100 stalled peers", name, float64(rss)/(1<<20))
		if rss > 32<<20 {
			t.Errorf("the %s relay has %d MiB", name, rss>>20)
		}
	}
	p.say("go on")
	p.await("passed", 10*time.Second)
}
