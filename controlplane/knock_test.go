package controlplane

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// knockAt makes a knock in a new file and gives both.
func knockAt(t *testing.T, path string) (*handshake.Knock, string) {
	t.Helper()
	if err := CreateKnock(path); err != nil {
		t.Fatal(err)
	}
	knock, err := ReadKnock(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return knock, strings.Split(string(text), "\n")[1]
}

// counting stands between a caller and a listener, and counts what the listener says
// and who was let through to it.
type counting struct {
	address       netip.AddrPort
	calls, answer atomic.Int64
}

func countingBefore(t *testing.T, listener netip.AddrPort) *counting {
	t.Helper()
	own := netip.AddrFrom4([4]byte{127, 0, 0, 9})
	l, err := net.Listen("tcp", netip.AddrPortFrom(own, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &counting{address: l.Addr().(*net.TCPAddr).AddrPort()}
	go func() {
		for {
			caller, err := l.Accept()
			if err != nil {
				return
			}
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: own.AsSlice()}}
			called, err := dialer.Dial("tcp", listener.String())
			if err != nil {
				caller.Close()
				continue
			}
			c.calls.Add(1)
			go func() { io.Copy(called, caller); called.Close() }()
			go func() {
				io.Copy(caller, io.TeeReader(called, counter{&c.answer}))
				caller.Close()
			}()
		}
	}()
	return c
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) { c.n.Add(int64(len(b))); return len(b), nil }

// TestKnock: a gateway that demands a knock does not say one byte to who has another
// or none, though he knows its fingerprint and is its peer.
func TestKnock(t *testing.T) {
	for _, c := range []struct {
		name string
		has  string // file of the caller's knock
		up   bool
	}{{"right", "right", true}, {"wrong", "wrong", false}, {"missing", "", false}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			right, secret := knockAt(t, filepath.Join(dir, "right"))
			wrong, _ := knockAt(t, filepath.Join(dir, "wrong"))
			a, b := pair(t)
			between := countingBefore(t, b.peering.local)
			toB, toA := a.linkTo(b, true), b.linkTo(a, false)
			toB.Endpoint = between.address
			a.authority = newAuthority(a.peering.identity.Fingerprint(), []LinkConfig{toB}, nil, nil)
			b.authority = newAuthority(b.peering.identity.Fingerprint(), []LinkConfig{toA}, nil, nil)
			b.authority.knock = right
			a.authority.knocks = map[string]*handshake.Knock{toB.Name: map[string]*handshake.Knock{"right": right, "wrong": wrong}[c.has]}
			b.begin(toA)
			a.begin(toB)
			if c.up {
				up(t, a, b)
				exchange(t, a, b)
				if between.answer.Load() == 0 {
					t.Error("the counter has counted nothing: this test cannot find anything")
				}
			} else {
				eventually(t, "the caller has tried and heard nothing", 20*time.Second, func() bool { return a.log.count("gave no answer") > 0 })
				if n := between.answer.Load(); n != 0 || between.calls.Load() == 0 {
					t.Errorf("%d bytes were answered to %d calls", n, between.calls.Load())
				}
			}
			a.stop()
			b.stop()
			for _, text := range []string{a.log.String(), b.log.String(), fmt.Sprintf("%+v %#v", b.authority, a.authority),
				fmt.Sprintf("%v %+v %#v %x %s", right, right, right, right, *right)} {
				if strings.Contains(text, secret) || strings.Contains(text, secret[len("qz-knock1"):][:20]) {
					t.Errorf("the knock shows in %s", text)
				}
			}
		})
	}
}

// TestKnocksOfConfig: every mistake is reported at its line, before anybody calls.
func TestKnocksOfConfig(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if _, err := CreateIdentity(in("a.key"), handshake.MLDSA44); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"own", "b", "open"} {
		knockAt(t, in(name))
	}
	if err := os.Chmod(in("open"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := CreateKnock(in("own")); err == nil {
		t.Error("a knock was replaced")
	}
	config := func(own, peer string) *Config {
		t.Helper()
		text := strings.Replace(minimal, "/etc/qzmq/a.key", in("a.key")+"\n  knock: "+own, 1) +
			"links:\n- name: b\n  peer: " + peerText(1) + "\n  knock: " + peer + "\n  routes: [10.2.0.0/24]\n" +
			"- { name: c, peer: " + peerText(2) + ", routes: [10.3.0.0/24] }\n"
		c, err := Parse("a.yaml", []byte(text), env{}.get)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := config(in("own"), in("b"))
	id, err := c.ReadIdentity()
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.readAuthority(id, time.Now())
	if err != nil || a.knock == nil || a.knocks["b"] == nil || a.knocks["c"] != nil {
		t.Fatalf("%v", err)
	}
	var asks, calls handshake.Config
	a.answering(&asks, time.Now())
	a.calling(&calls, &c.Links[0], 0, time.Now())
	if asks.Knock != a.knock || calls.Knock != a.knocks["b"] {
		t.Error("the knocks do not come into the handshake")
	}
	a.calling(&calls, &c.Links[1], 0, time.Now())
	if calls.Knock != nil {
		t.Error("a link without a knock has that of another")
	}

	_, err = config(in("open"), in("a.key")).ReadIdentity()
	want := "a.yaml:4: gateway.knock: " + in("open") + " has mode 0640, which lets others than its owner at the knock; it must be 0600\n" +
		"a.yaml:10: links[0].knock: " + in("a.key") + `: handshake: not a knock's file, or a damaged one: want the line "# qzmq knock", then one qz-knock1 line`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err = config(in("none"), in("b")).ReadIdentity(); err == nil || !strings.HasPrefix(err.Error(), "a.yaml:4: gateway.knock: reading the knock file: open "+in("none")) {
		t.Errorf("got %v", err)
	}
}
