package relay

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// What `qzmqctl relay` is told in files, and told anew by SIGHUP. One program stands
// behind the far relay of all these tests and echoes.

// store writes a file, for its owner alone, and gives its path.
func store(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// with replaces a flag's value in a command line, or adds the flag; no value takes it out.
func with(flags []string, name string, value ...string) []string {
	var out []string
	for i := 0; i < len(flags); i++ {
		if flags[i] == name {
			i++
			continue
		}
		out = append(out, flags[i])
	}
	for _, v := range value {
		out = append(out, name, v)
	}
	return out
}

// restart ends both relays and starts them with the flags that they have now.
func (c *chain) restart() {
	c.near.kill()
	c.far.kill()
	c.startFar()
	c.startNear()
}

// served opens a connection through the chain, and is nil when the far side does not
// let it in. The program is turned away by a close.
func (c *chain) served() *zmtp.Null {
	c.t.Helper()
	at, err := ParseEndpoint(c.front)
	if err != nil {
		c.t.Fatal(err)
	}
	n, err := openPlain(at, new(zmtp.Pool))
	if err != nil {
		return nil
	}
	if err = n.WriteMessage([]byte("word")); err == nil {
		n.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = n.ReadMessage()
	}
	if err != nil {
		n.Close()
		return nil
	}
	return n
}

// hangUp has a relay read its files anew, and returns when it has said so.
func (p *process) hangUp(says string) {
	p.t.Helper()
	before := strings.Count(p.stderr(), says)
	p.signal(syscall.SIGHUP)
	for end := time.Now().Add(10 * time.Second); strings.Count(p.stderr(), says) == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("after SIGHUP it does not say %q: %s", says, p.stderr())
		}
	}
}

const reloaded = "files reloaded"

// endsWithin says how long a connection was up after a moment, and fails the test when
// it stays.
func endsWithin(t *testing.T, n *zmtp.Null, began time.Time, most time.Duration) {
	t.Helper()
	n.SetReadDeadline(began.Add(most + 4*time.Second))
	_, err := n.ReadMessage()
	var timeout net.Error
	if d := time.Since(began); err == nil || d > most || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection is up for %v: %v", d, err)
	} else {
		t.Logf("cut after %v", d.Round(100*time.Microsecond))
	}
	n.Close()
}

// A key that is taken out of the file loses its live connections within a second of
// SIGHUP, and so do all when none is left. A mistake in the file changes nothing.
func TestAuthorisedFile(t *testing.T) {
	c := newChain(t, "tcp")
	echo(t, c.back)
	file := filepath.Join(t.TempDir(), "keys")
	own, other := c.nearID.Fingerprint().String(), newIdentity(t).Fingerprint().String()
	store(t, file, []byte("# who may\n"+own+" trader\n"+other+"\n"))
	c.farFlags = with(with(c.farFlags, "--allow"), "--authorised", file)
	c.restart()

	n := c.served()
	if n == nil {
		t.Fatalf("a key of the file gets nothing: %s", c.far.stderr())
	}
	c.far.hangUp(reloaded) // and nobody's right is gone
	store(t, file, []byte(other+" trader\n"+own+" two words\n"))
	c.far.hangUp("were not reloaded")
	if err := n.WriteMessage([]byte("still there")); err != nil {
		t.Fatal(err)
	}
	if m, err := n.ReadMessage(); err != nil || string(m.Parts[0]) != "still there" {
		t.Fatalf("after a mistake in the file: %v, %v", m, err)
	}
	for _, lines := range []string{other + " guest\n", "# nobody is left\n"} {
		store(t, file, []byte(lines))
		began := time.Now()
		c.far.hangUp(reloaded)
		endsWithin(t, n, began, time.Second)
		if c.served() != nil {
			t.Error("a revoked key is let in again")
		}
		store(t, file, []byte(own+"\n"))
		c.far.hangUp(reloaded)
		if n = c.served(); n == nil {
			t.Fatalf("a key that was authorised again gets nothing: %s", c.far.stderr())
		}
	}
	n.Close()
}

// Whoever does not know the knock gets no answer; it is replaced by SIGHUP.
func TestKnock(t *testing.T) {
	c := newChain(t, "tcp")
	echo(t, c.back)
	dir := t.TempDir()
	knock := func(name string) string {
		k, err := handshake.GenerateKnock()
		if err != nil {
			t.Fatal(err)
		}
		return store(t, filepath.Join(dir, name), k.MarshalFile())
	}
	far, near, other := knock("far"), filepath.Join(dir, "near"), knock("other")
	copyFile := func(from, to string) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		store(t, to, b)
	}
	copyFile(far, near)
	c.farFlags = with(c.farFlags, "--knock", far)
	c.nearFlags = with(c.nearFlags, "--knock", near)
	c.restart()
	if c.served() == nil {
		t.Fatalf("who knows the knock gets nothing: %s", c.near.stderr())
	}
	copyFile(other, near)
	c.near.hangUp(reloaded)
	if c.served() != nil {
		t.Error("another knock is answered")
	}
	copyFile(other, far)
	c.far.hangUp(reloaded)
	if c.served() == nil {
		t.Errorf("the new knock is not answered: %s", c.near.stderr())
	}
}

// One key takes over from another on either side, with nobody out of service: the far
// relay answers to both, the near one tries both and finds the one that answers.
func TestRollover(t *testing.T) {
	c := newChain(t, "tcp")
	echo(t, c.back)
	dir, next := t.TempDir(), newIdentity(t)
	file := func(ids ...*handshake.Identity) []byte {
		var b []byte
		for _, id := range ids {
			b = append(b, id.Fingerprint().String()+" server\n"...)
		}
		return b
	}
	oldFlags := c.farFlags
	nextKey := store(t, filepath.Join(dir, "next.key"), next.MarshalKeyFile())
	keys := store(t, filepath.Join(dir, "keys"), file(next, c.farID))
	c.nearFlags = with(with(c.nearFlags, "--peer", "server"), "--authorised", keys)
	both := append([]string(nil), oldFlags...)
	for _, tc := range []struct {
		name string
		far  []string
		keys []byte
	}{
		{"both keys, the old one is first in the file", append(both, "--identity", nextKey), file(c.farID, next)},
		{"the old key alone, which is second in the file", oldFlags, file(next, c.farID)},
		{"the next key alone", with(oldFlags, "--identity", nextKey), file(c.farID, next)},
	} {
		c.far.kill()
		c.farFlags = tc.far
		c.startFar()
		store(t, keys, tc.keys)
		c.near.kill()
		c.startNear()
		for range 2 {
			if n := c.served(); n == nil {
				t.Errorf("%s: nothing is served: %s", tc.name, c.near.stderr())
			} else {
				n.Close()
			}
		}
	}
	n := c.served()
	store(t, keys, file(c.farID)) // and the next key, which answers, is revoked
	began := time.Now()
	c.near.hangUp(reloaded)
	endsWithin(t, n, began, time.Second)
	if c.served() != nil {
		t.Error("a key is called that was taken out of the file")
	}
	store(t, keys, file(next))
	c.near.hangUp(reloaded)
	if c.served() == nil {
		t.Errorf("the next key is not called again: %s", c.near.stderr())
	}
}

// An authority names peers on both sides; the roles of a certificate count, and whom
// it has certified is gone with it.
func TestAuthorities(t *testing.T) {
	c := newChain(t, "tcp")
	echo(t, c.back)
	dir := t.TempDir()
	ca, other := newAuthority(t), newAuthority(t)
	trusted := store(t, filepath.Join(dir, "ca.pub"), ca.Authority().MarshalFile())
	certificate := func(by *handshake.AuthorityKey, id *handshake.Identity, name string, roles handshake.Roles) string {
		t.Helper()
		q, err := handshake.NewRequest(id)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Add(-time.Minute)
		cert, err := by.Issue(q, handshake.Grant{Name: name, Roles: roles, NotBefore: now, NotAfter: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return store(t, filepath.Join(dir, name+".cert"), cert.MarshalFile())
	}
	serverCert := certificate(ca, c.farID, "server", handshake.ZMTPResponder)
	traderCert := certificate(ca, c.nearID, "trader", handshake.ZMTPInitiator)
	far := with(with(c.farFlags, "--allow"), "--certificate", serverCert)
	c.nearFlags = append(with(c.nearFlags, "--peer", "server"), "--ca", trusted, "--certificate", traderCert)
	for _, tc := range []struct {
		name string
		far  []string
		ok   bool
	}{
		{"all of the authority", with(far, "--ca", trusted), true},
		{"one by name", append(with(far, "--ca", trusted), "--allow", "trader"), true},
		{"all by name", append(with(far, "--ca", trusted), "--allow", "*"), true},
		{"another by name", append(with(far, "--ca", trusted), "--allow", "guest"), false},
	} {
		c.farFlags = tc.far
		c.restart()
		if n := c.served(); (n != nil) != tc.ok {
			t.Errorf("%s: served is %v: %s %s", tc.name, n != nil, c.near.stderr(), c.far.stderr())
		}
	}
	c.farFlags = with(far, "--ca", trusted)
	c.restart()
	n := c.served()
	if n == nil {
		t.Fatal("nothing is served")
	}
	store(t, trusted, other.Authority().MarshalFile()) // whose certificates nobody has
	began := time.Now()
	c.far.hangUp(reloaded) // its own certificate, of the first one, is for its peers to judge
	endsWithin(t, n, began, time.Second)
}

func newAuthority(t testing.TB) *handshake.AuthorityKey {
	t.Helper()
	ca, err := handshake.GenerateAuthority(handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}
