package handshake

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// The vectors of testdata/suites.json are two handshakes of every suite from the
// same fixed randomness: a full one, which gives a ticket, and one that is resumed
// with it and has early data. Of messages they have the SHA-256, of everything that
// is derived the value. The machines must make the messages, and the independent
// reader must find the rest in them.

const suitesFile = "testdata/suites.json"

// suiteInputs is the randomness of one handshake. What a suite has no use for is
// not drawn.
type suiteInputs struct {
	ClientRandom    hexBytes `json:"client_random"`
	MLKEMSeed       hexBytes `json:"mlkem_d_z"`
	InitiatorX25519 hexBytes `json:"initiator_x25519"`
	ServerRandom    hexBytes `json:"server_random"`
	Encapsulation   hexBytes `json:"mlkem_m"`
	ResponderX25519 hexBytes `json:"responder_x25519"`
	Ticket          hexBytes `json:"ticket"`
}

// suiteVectors is the file.
type suiteVectors struct {
	InitiatorSeed hexBytes       `json:"initiator_seed"` // of identities of the suite's algorithm
	ResponderSeed hexBytes       `json:"responder_seed"`
	EarlyData     hexBytes       `json:"early_data"` // plaintext of the second handshake's, before padding
	Handshakes    [2]suiteInputs `json:"handshakes"`
	Found         []suiteVector  `json:"suites"`
}

type suiteVector struct {
	Suite  string              `json:"suite"`
	SHA256 map[string]hexBytes `json:"sha256_of_messages"`
	Values map[string]hexBytes `json:"derived"`
}

func suiteCases() *suiteVectors {
	fill := func(b byte, n int) hexBytes {
		out := make(hexBytes, n)
		for i := range out {
			out[i] = b + byte(i)
		}
		return out
	}
	v := &suiteVectors{InitiatorSeed: fill(0x21, 32), ResponderSeed: fill(0x31, 32), EarlyData: []byte("\x02\x00\x04beat\x00\x011")}
	for n := range v.Handshakes {
		b := byte(0x41 + 0x50*n)
		v.Handshakes[n] = suiteInputs{
			ClientRandom: fill(b, 32), MLKEMSeed: fill(b+1, 64), InitiatorX25519: fill(b+2, 32),
			ServerRandom: fill(b+3, 32), Encapsulation: fill(b+4, 32), ResponderX25519: fill(b+5, 32), Ticket: fill(b+6, 16),
		}
	}
	return v
}

// run makes both handshakes of a suite and has them read.
func (v *suiteVectors) run(t *testing.T, s Suite) suiteVector {
	t.Helper()
	identity := func(seed hexBytes) *Identity {
		id, err := newIdentity(s.Sig, [seedLen]byte(seed))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	p := newPair(t)
	p.withTickets()
	p.initiatorConf.Identity, p.responderConf.Identity = identity(v.InitiatorSeed), identity(v.ResponderSeed)
	p.initiatorConf.Peer = p.responderConf.Identity.Fingerprint()
	p.initiatorConf.Suites, p.responderConf.Suites = []Suite{s}, []Suite{s}
	p.initiatorConf.Mode, p.responderConf.Mode = ModeClassical, ModeClassical
	p.responderConf.Authorize = func(f Fingerprint) bool { return f == p.initiatorConf.Identity.Fingerprint() }

	r := newSuiteReader(t, s)
	out := suiteVector{Suite: s.String(), SHA256: map[string]hexBytes{}, Values: r.found}
	note := func(name string, msg []byte) {
		sum := sha256.Sum256(msg)
		out.SHA256[r.prefix+name] = sum[:]
	}
	var psk []byte
	for n := range v.Handshakes {
		in := &v.Handshakes[n]
		mine, theirs := []byte(in.ClientRandom), []byte(in.ServerRandom)
		if r.lattice != nil {
			mine, theirs = append(mine[:32:32], in.MLKEMSeed...), append(theirs[:32:32], in.Encapsulation...)
		}
		if r.curve {
			mine, theirs = append(mine[:len(mine):len(mine)], in.InitiatorX25519...), append(theirs[:len(theirs):len(theirs)], in.ResponderX25519...)
		}
		theirs = append(theirs[:len(theirs):len(theirs)], in.Ticket...)
		iRandom, rRandom := bytes.NewReader(mine), bytes.NewReader(theirs)
		p.iSource, p.rSource = source{reader: iRandom}, source{reader: rRandom}
		var flight []byte
		if n == 0 {
			r.prefix = "full."
			p.finish()
		} else {
			r.prefix = "resumed."
			safe := topics(t, "beat")
			p.initiatorConf.Early, p.responderConf.SafeTopics = early(t, safe, message("beat", "1")), safe
			p.start()
			flight = p.i.EarlyData()
			if taken := p.fromEarly(); len(taken) != 1 {
				t.Errorf("%v: early data is not taken", s)
			}
			note("early_data", flight)
		}
		if iRandom.Len() != 0 || rRandom.Len() != 0 {
			t.Errorf("%v: %d and %d random bytes left over", s, iRandom.Len(), rRandom.Len())
		}
		w := p.wire()
		psk = r.handshake(in, &w, psk)
		if n == 1 {
			plain := r.open(r.found["resumed.c_e"], 0xffffffff, flight[:4], flight[4:])
			if !bytes.Equal(bytes.TrimRight(plain, "\x00"), v.EarlyData) {
				t.Errorf("%v: early data is %x", s, plain)
			}
		}
		for name, msg := range map[string][]byte{"client_hello": w.ClientHello, "server_hello": w.ServerHello, "client_key": w.ClientKey, "finished": w.Finished} {
			note(name, msg)
		}
		for _, session := range []*Session{p.iDone, p.rDone} {
			if !bytes.Equal(session.exporter, r.found[r.prefix+"exp"]) {
				t.Errorf("%v: another exporter secret", s)
			}
		}
	}
	return out
}

func TestSuiteVectors(t *testing.T) {
	list := built(t)
	want := suiteCases()
	if *update {
		for _, s := range list {
			want.Found = append(want.Found, want.run(t, s))
		}
		writeSuites(t, want)
	}
	b, err := os.ReadFile(suitesFile)
	if err != nil {
		t.Fatal(err)
	}
	var v suiteVectors
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if len(v.Found) != len(list) {
		t.Fatalf("%s has %d suites of %d", suitesFile, len(v.Found), len(list))
	}
	if cases := suiteCases(); !reflect.DeepEqual(v.Handshakes, cases.Handshakes) {
		t.Error("other inputs")
	}
	for n, s := range list {
		if got := v.run(t, s); !reflect.DeepEqual(got, v.Found[n]) {
			t.Errorf("%v: the machines or the reader find something else", s)
		}
	}
}

// writeSuites puts one suite on a line.
func writeSuites(t *testing.T, v *suiteVectors) {
	t.Helper()
	found := v.Found
	v.Found = nil
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v.Found = found
	b = bytes.TrimSuffix(b, []byte("null}"))
	b = append(b, '[')
	for n := range found {
		line, err := json.Marshal(found[n])
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			b = append(b, ',')
		}
		b = append(append(b, '\n'), line...)
	}
	if err := os.WriteFile(suitesFile, append(b, "\n]}\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
}
