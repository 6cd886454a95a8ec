package handshake

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The vectors of suites.json have the hashes of messages, since those of all suites
// would fill megabytes. Here the messages themselves are made again: for all suites
// for as long as the second reader takes to read them, and for a few, in which
// every algorithm of the registry occurs, in a file.

const (
	messagesFile = "../testdata/handshakes.json"
	secondReader = "../../tools/vectors/check.py"
)

// fullVector is one handshake with everything that is in it and comes of it.
type fullVector struct {
	Name    string              `json:"name"`
	Suite   string              `json:"suite"`
	Inputs  map[string]hexBytes `json:"inputs"`
	Wire    map[string]hexBytes `json:"messages"`
	Derived map[string]hexBytes `json:"derived"` // as suites.json has it, of one of its two
}

// messages makes both handshakes of a suite as run does, and holds what they are
// against what is published in suites.json.
func (v *suiteVectors) messages(t *testing.T, s Suite, published *suiteVector) (list []fullVector) {
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
	initiator, responder := identity(v.InitiatorSeed), identity(v.ResponderSeed)
	p.initiatorConf.Identity, p.responderConf.Identity = initiator, responder
	p.initiatorConf.Peer = responder.Fingerprint()
	p.initiatorConf.Suites, p.responderConf.Suites = []Suite{s}, []Suite{s}
	p.initiatorConf.Mode, p.responderConf.Mode = ModeClassical, ModeClassical
	p.responderConf.Authorize = func(f Fingerprint) bool { return f == initiator.Fingerprint() }

	lattice, curve := s.KEM.halves()
	greetings := [2][greetingLen]byte{testGreeting(0), testGreeting(1)}
	for n, name := range []string{"full", "resumed"} {
		in, name := &v.Handshakes[n], name+"."
		full := fullVector{
			Name: name[:len(name)-1], Suite: s.String(),
			Inputs: map[string]hexBytes{
				"purpose":            {byte(PurposeZMTP)},
				"initiator_greeting": greetings[0][:], "responder_greeting": greetings[1][:],
				"client_random": in.ClientRandom, "server_random": in.ServerRandom, "ticket": in.Ticket,
			},
			Wire: map[string]hexBytes{}, Derived: map[string]hexBytes{},
		}
		mine, theirs := bytes.Clone(in.ClientRandom), bytes.Clone(in.ServerRandom)
		if lattice != nil {
			mine, theirs = append(mine, in.MLKEMSeed...), append(theirs, in.Encapsulation...)
			full.Inputs["mlkem_d_z"], full.Inputs["mlkem_m"] = in.MLKEMSeed, in.Encapsulation
		}
		if curve {
			mine, theirs = append(mine, in.InitiatorX25519...), append(theirs, in.ResponderX25519...)
			full.Inputs["initiator_x25519"], full.Inputs["responder_x25519"] = in.InitiatorX25519, in.ResponderX25519
		}
		p.iSource = source{reader: bytes.NewReader(mine)}
		p.rSource = source{reader: bytes.NewReader(append(theirs, in.Ticket...))}
		if n == 0 {
			full.Inputs["initiator_seed"], full.Inputs["responder_seed"] = v.InitiatorSeed, v.ResponderSeed
			p.finish()
		} else {
			name := responder.Fingerprint()
			full.Inputs["responder_fingerprint"] = name[:] // nobody says it here
			full.Inputs["psk"] = published.Values["full.psk"]
			full.Inputs["early_data"] = v.EarlyData
			safe := topics(t, "beat")
			p.initiatorConf.Early, p.responderConf.SafeTopics = early(t, safe, message("beat", "1")), safe
			p.start()
			full.Wire["early_data"] = p.i.EarlyData()
			if taken := p.fromEarly(); len(taken) != 1 {
				t.Errorf("%v: early data is not taken", s)
			}
		}
		for message, b := range map[string][]byte{"client_hello": p.hello, "server_hello": p.answer, "client_key": p.key, "finished": p.last} {
			full.Wire[message] = b
		}
		for message, b := range full.Wire {
			if sum := sha256.Sum256(b); !bytes.Equal(sum[:], published.SHA256[name+message]) {
				t.Errorf("%v: %s%s is not the message whose hash is published", s, name, message)
			}
		}
		for key, value := range published.Values {
			if key, ok := strings.CutPrefix(key, name); ok {
				full.Derived[key] = value
			}
		}
		list = append(list, full)
	}
	return list
}

func publishedSuites(t *testing.T) *suiteVectors {
	t.Helper()
	b, err := os.ReadFile(suitesFile)
	if err != nil {
		t.Fatal(err)
	}
	v := new(suiteVectors)
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
	if len(v.Found) != len(built(t)) {
		t.Fatalf("%s has %d suites of %d", suitesFile, len(v.Found), len(built(t)))
	}
	return v
}

// TestPublishedSuites has the second reader read both handshakes of every suite.
func TestPublishedSuites(t *testing.T) {
	v := publishedSuites(t)
	var all []fullVector
	for n, s := range built(t) {
		all = append(all, v.messages(t, s, &v.Found[n])...)
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "all.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	// The system's Python by its full name: another one has no Debian packages.
	command := exec.Command("/usr/bin/python3", secondReader, file)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("the second reader, which needs python3-cryptography: %v\n%s", err, stderr.Bytes())
	}
	var done map[string]int
	if err := json.Unmarshal(out, &done); err != nil {
		t.Fatal(err)
	}
	// Of six algorithms three have an Ed25519 half, and both sides sign.
	want := map[string]int{"handshakes": 360, "resumed": 180, "early data": 180, "Ed25519 signatures": 180}
	for what, n := range want {
		if done[what] != n {
			t.Errorf("the second reader found %d %s, want %d", done[what], what, n)
		}
	}
	t.Log(done)
}

// TestPublishedHandshakes is the file: six suites, chosen so that every code point
// of every kind is in one of them.
func TestPublishedHandshakes(t *testing.T) {
	v, list := publishedSuites(t), built(t)
	seen := map[string]bool{}
	var want []fullVector
	for i := range Ed25519MLDSA65 {
		for n, s := range list {
			if s.Sig == 1+i && s.KEM == KEM(1+i%5) && byte(s.AEAD) == byte(1+i%2) && byte(s.Hash) == byte(1+(i/2)%3) {
				want = append(want, v.messages(t, s, &v.Found[n])...)
				for kind, code := range map[string]any{"kem": s.KEM, "sig": s.Sig, "aead": s.AEAD, "hash": s.Hash} {
					seen[fmt.Sprint(kind, code)] = true
				}
			}
		}
	}
	if len(want) != 12 || len(seen) != 5+6+2+3 {
		t.Fatalf("%d handshakes with %d algorithms", len(want), len(seen))
	}
	if *update {
		b, err := json.MarshalIndent(want, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(messagesFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(messagesFile)
	if err != nil {
		t.Fatal(err)
	}
	var got []fullVector
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s has other handshakes", messagesFile)
	}
}
