package handshake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

func sealRecord(t *testing.T, s *record.Sealer, payload []byte) []byte {
	t.Helper()
	out := make([]byte, len(payload)+record.Overhead)
	b := record.NewBurst(1)
	if !b.Add(s, out, payload) {
		t.Fatal("the sealer is exhausted")
	}
	b.Seal()
	return out
}

// TestDataKeys: every (set-up, direction, stream) has keys of its own, both sides
// agree on them, and none is handed out twice.
func TestDataKeys(t *testing.T) {
	p := newPair(t).finish()
	setups := [][32]byte{{}, {1}, {31: 1}}
	streams := []uint16{0, 1, 256, 65535}
	payload := bytes.Repeat([]byte{0}, 64)
	seen := map[string]string{}
	for _, d := range []struct {
		name     string
		from, to *Session
	}{{"from the initiator", p.iDone, p.rDone}, {"from the responder", p.rDone, p.iDone}} {
		for _, setup := range setups {
			for _, stream := range streams {
				what := fmt.Sprintf("%s, set-up %x, stream %d", d.name, setup, stream)
				// The same session id everywhere: only the keys may tell them apart.
				sealed := sealRecord(t, d.from.DataSealer(setup, 7, stream), payload)
				if n, v := d.to.DataOpener(setup, 7, stream).Open(make([]byte, len(payload)), sealed); v != record.Opened || n != len(payload) {
					t.Errorf("%s: verdict %v", what, v)
				}
				keystream := string(sealed[record.HeaderLen : record.HeaderLen+len(payload)])
				if other, again := seen[keystream]; again {
					t.Errorf("%s has the keys of %s", what, other)
				}
				seen[keystream] = what
				panics(t, what+" again", func() { d.from.DataSealer(setup, 8, stream) })
				panics(t, what+" opened again", func() { d.to.DataOpener(setup, 8, stream) })
			}
		}
	}
	if len(seen) != 2*len(setups)*len(streams) {
		t.Errorf("%d keys", len(seen))
	}

	other := newPair(t).finish()
	sealed := sealRecord(t, other.iDone.DataSealer(setups[0], 7, 0), payload)
	if seen[string(sealed[record.HeaderLen:record.HeaderLen+len(payload)])] != "" {
		t.Error("two sessions share data keys")
	}
	// The same set-up, stream and session id in both directions: a record sent
	// back to its sender does not open.
	if _, v := other.iDone.DataOpener(setups[0], 7, 0).Open(make([]byte, len(payload)), sealed); v != record.Forged {
		t.Errorf("a reflected record: verdict %v", v)
	}
}

func TestRecordsOnce(t *testing.T) {
	p := newPair(t).finish()
	seal, open := p.iDone.Records()
	sealed, err := seal.Seal(nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Open(nil, sealed); err == nil {
		t.Error("a reflected record opens")
	}
	panics(t, "Records again", func() { p.iDone.Records() })
}

func TestClose(t *testing.T) {
	p := newPair(t).finish()
	exporter := p.iDone.exporter
	p.iDone.Close()
	p.iDone.Close()
	if !bytes.Equal(exporter, make([]byte, len(exporter))) {
		t.Error("the exporter secret is not wiped")
	}
	panics(t, "data keys after Close", func() { p.iDone.DataSealer([32]byte{}, 1, 1) })
	panics(t, "records after Close", func() { p.iDone.Records() })
}

// TestWiped: what section 2.4 says is wiped, is.
func TestWiped(t *testing.T) {
	p := newPair(t).toServerHello()
	waits := p.r.pending
	hs, c, s := waits.schedule.secret, waits.secrets.initiator, waits.secrets.responder
	reply, done, err := p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	reply, done, err = p.r.Handle(p.key)
	p.step("ClientKey", reply, done, err)
	for name, b := range map[string][]byte{"handshake secret": hs, "c_hs": c, "s_hs": s, "main": waits.schedule.secret} {
		if len(b) != 32 || !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("%s is still there", name)
		}
	}
	if p.i.keys != nil || p.i.hello != nil || p.r.pending != nil {
		t.Error("machines keep their keys")
	}
	// A failed machine keeps nothing either.
	p = newPair(t).toServerHello()
	waits = p.r.pending
	hs = waits.schedule.secret
	p.r.Handle([]byte("nonsense"))
	if p.r.pending != nil || !bytes.Equal(hs, make([]byte, len(hs))) {
		t.Error("a failed responder keeps its secrets")
	}
	p.i.Handle([]byte("nonsense"))
	if p.i.keys != nil {
		t.Error("a failed initiator keeps its keys")
	}
}

// TestNothingPrints: no verb, encoder or logger shows a secret.
func TestNothingPrints(t *testing.T) {
	p := newPair(t)
	p.initiatorConf.Knock = testKnock('K')
	p.responderConf.Knock = p.initiatorConf.Knock
	p.toServerHello()
	id := p.initiatorConf.Identity
	secrets := map[string][]byte{"seed": id.seed[:], "knock": p.initiatorConf.Knock.secret[:], "handshake secret": bytes.Clone(p.r.pending.schedule.secret)}
	things := []any{id, *id, p.initiatorConf, &p.initiatorConf, p.i, *p.i, p.r, *p.r, p.r.pending, *p.r.pending,
		p.r.pending.schedule, p.r.pending.secrets, p.i.keys[0], *p.i.keys[0], p.i.keys}
	reply, done, err := p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	reply, done, err = p.r.Handle(p.key)
	_, p.rDone = p.step("ClientKey", reply, done, err)
	secrets["exporter"] = p.rDone.exporter
	things = append(things, p.rDone, *p.rDone, p.i, p.i.session)

	shown := map[string]string{}
	for _, x := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
			shown[fmt.Sprintf("%T %s", x, verb)] = fmt.Sprintf(verb, x)
			shown[fmt.Sprintf("%T %s in a struct", x, verb)] = fmt.Sprintf(verb, struct{ X any }{x})
		}
		b, err := json.Marshal(x)
		if err != nil {
			t.Errorf("%T: %v", x, err)
		}
		shown[fmt.Sprintf("%T JSON", x)] = string(b)
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "x", x, "in", struct{ X any }{x})
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "x", x, "in", struct{ X any }{x})
		shown[fmt.Sprintf("%T slog", x)] = log.String()
	}
	for where, text := range shown {
		if !strings.Contains(text, "[secret]") && !strings.Contains(text, id.Fingerprint().String()) &&
			!strings.Contains(text, fmt.Sprintf("%x", "[secret]")) {
			t.Errorf("%s shows %q", where, text)
		}
		for name, s := range secrets {
			for _, form := range []string{string(s), fmt.Sprintf("%x", s[:8]), fmt.Sprintf("%X", s[:8]), strings.Trim(fmt.Sprint(s[:8]), "[]"), fmt.Sprintf("%#v", s[:8])[7:40]} {
				if strings.Contains(text, form) {
					t.Errorf("%s shows the %s", where, name)
				}
			}
		}
	}
}
