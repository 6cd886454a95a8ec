package handshake

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// readKeyLog gives the secrets of a key log by "LABEL identifier", and fails on a line
// that is not of the format.
func readKeyLog(t *testing.T, text string) map[string][]byte {
	t.Helper()
	secrets := map[string][]byte{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(f) != 3 || !strings.HasSuffix(line, "\n") {
			t.Fatalf("a line of the key log is %q", line)
		}
		secret, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatalf("a secret of the key log is %q", f[2])
		}
		secrets[f[0]+" "+f[1]] = secret
	}
	return secrets
}

// TestKeyLogOpensWhatWasCaptured has only the bytes that crossed the wire and what
// both sides logged, and reads everything: the flights, records of the connection,
// records of a stream.
func TestKeyLogOpensWhatWasCaptured(t *testing.T) {
	var atInitiator, atResponder bytes.Buffer
	p := newPair(t)
	p.initiatorConf.KeyLog, p.responderConf.KeyLog = &atInitiator, &atResponder
	p.toClientKey()
	t4 := bytes.Clone(p.r.pending.t4) // the transcript is not secret
	reply, done, err := p.r.Handle(p.key)
	p.last, p.rDone = p.step("ClientKey", reply, done, err)
	reply, done, err = p.i.Handle(p.last)
	_, p.iDone = p.step("Finished", reply, done, err)
	hello, err := parseClientHello(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	random := bytes.Clone(hello.random)
	sealer, _ := p.iDone.Records()
	said, err := sealer.Seal(nil, []byte("said on the connection"))
	if err != nil {
		t.Fatal(err)
	}
	setup := [32]byte{1, 2, 3}
	const session, stream = 0x01020304, 0x0506
	data := p.rDone.DataSealer(setup, session, stream)
	datagram := make([]byte, record.Overhead+4)
	burst := record.NewBurst(1)
	burst.Add(data, datagram, []byte("data"))
	burst.Seal()
	p.iDone.DataOpener(setup, session, stream)

	if atInitiator.String() == "" || sortedLines(atInitiator.String()) != sortedLines(atResponder.String()) {
		t.Errorf("the initiator has logged\n%s\nthe responder\n%s", &atInitiator, &atResponder)
	}
	secrets := readKeyLog(t, atInitiator.String())
	keys := func(label string, more ...byte) *record.Keys {
		secret := secrets[fmt.Sprintf("%s %x", label, append(random[:len(random):len(random)], more...))]
		if secret == nil {
			t.Fatalf("no %s in\n%s", label, &atInitiator)
		}
		return record.NewKeys(record.AES256GCM, record.SHA256, secret)
	}

	// The responder's flight: sealed in the ServerHello, bound to the clear part of it.
	answer, err := parseServerHello(p.answer)
	if err != nil {
		t.Fatal(err)
	}
	transcript := newTranscript(record.SHA256, prologueZMTP(&p.iSees[0], &p.iSees[1]), p.hello)
	t1 := transcript.add(pointT1, answer.clear)
	plaintext, err := keys("QZMQ_RESPONDER_HANDSHAKE_SECRET").OpenOnce(t1, answer.sealed)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := parseFlight(plaintext, record.SHA256); err != nil || !bytes.Equal(f.public, p.responderConf.Identity.public) {
		t.Errorf("the responder's flight does not show its key: %v", err)
	}
	sealed, err := parseSealed(p.key, typeClientKey)
	if err != nil {
		t.Fatal(err)
	}
	if plaintext, err = keys("QZMQ_INITIATOR_HANDSHAKE_SECRET").OpenOnce(t4, sealed); err != nil {
		t.Fatal(err)
	}
	if f, err := parseFlight(plaintext, record.SHA256); err != nil || !bytes.Equal(f.public, p.initiatorConf.Identity.public) {
		t.Errorf("the initiator's flight does not show its key: %v", err)
	}

	opened, err := record.NewStreamOpener(keys("QZMQ_INITIATOR_TRAFFIC_SECRET_0")).Open(nil, said)
	if err != nil || string(opened) != "said on the connection" {
		t.Errorf("of the connection's record: %q, %v", opened, err)
	}
	finished, err := parseSealed(p.last, typeFinished)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.NewStreamOpener(keys("QZMQ_RESPONDER_TRAFFIC_SECRET_0")).Open(nil, finished); err != nil {
		t.Errorf("Finished does not open: %v", err)
	}

	// The dissector takes stream and session from the record in front of it.
	opener := record.NewOpener(keys("QZMQ_RESPONDER_DATA_SECRET_0", datagram[2:8]...),
		binary.BigEndian.Uint32(datagram[4:]), binary.BigEndian.Uint16(datagram[2:]))
	payload := make([]byte, 64)
	if n, verdict := opener.Open(payload, datagram); string(payload[:n]) != "data" {
		t.Errorf("of the stream's record: %q, %v", payload[:n], verdict)
	}
}

func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestKeyLogOpensEarlyData: the one secret that only some handshakes have.
func TestKeyLogOpensEarlyData(t *testing.T) {
	var atInitiator, atResponder bytes.Buffer
	p := newPair(t)
	p.withEarly()
	p.initiatorConf.KeyLog, p.responderConf.KeyLog = &atInitiator, &atResponder
	p.start()
	hello, err := parseClientHello(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	random, msg := bytes.Clone(hello.random), p.i.EarlyData()
	if len(p.fromEarly()) != len(spoken) {
		t.Fatal("the early data was not taken")
	}
	if sortedLines(atInitiator.String()) != sortedLines(atResponder.String()) {
		t.Errorf("the initiator has logged\n%s\nthe responder\n%s", &atInitiator, &atResponder)
	}
	secret := readKeyLog(t, atResponder.String())[fmt.Sprintf("QZMQ_INITIATOR_EARLY_SECRET %x", random)]
	sealed, err := parseSealed(msg, typeEarlyData)
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err := record.NewKeys(record.AES256GCM, record.SHA256, secret).OpenEarly(msg[:HeaderLen], sealed)
	if err != nil {
		t.Fatal(err)
	}
	if messages, err := parseEarly(plaintext); err != nil || len(messages) != len(spoken) {
		t.Errorf("%d messages, %v", len(messages), err)
	}
}

// TestKeyLogIsOffUnlessAskedFor: a machine whose config names no log has nowhere to
// write to, at no time of its life.
func TestKeyLogIsOffUnlessAskedFor(t *testing.T) {
	var atInitiator bytes.Buffer
	p := newPair(t)
	p.initiatorConf.KeyLog = &atInitiator
	p.finish()
	if p.rDone.log.to != nil || p.r.config.KeyLog != nil {
		t.Error("the responder logs, though only the initiator was asked to")
	}
	p.rDone.DataSealer([32]byte{}, 1, 0)
	if strings.Contains(atInitiator.String(), "DATA") {
		t.Error("the initiator has logged what only the responder has derived")
	}
	p = newPair(t).finish()
	for name, l := range map[string]keyLog{"initiator": p.iDone.log, "responder": p.rDone.log} {
		if l.to != nil || l.random != nil {
			t.Errorf("the %s keeps a key log", name)
		}
	}
}
