package handshake

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
)

// The vectors hold two handshakes from fixed randomness with deterministic
// signatures: what goes in, every message, T1..T7 and every secret. The machines
// must make the messages; an independent reader (reader_test.go), which knows the
// specification and none of our code, must find the rest in them.

const vectorFile = "testdata/handshake.json"

var update = flag.Bool("update", false, "write "+vectorFile+" anew")

// hexBytes is hexadecimal in JSON.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

type vector struct {
	Name    string      `json:"name"`
	Suite   string      `json:"suite"`
	Inputs  vectorIn    `json:"inputs"`
	Wire    vectorWire  `json:"messages"`
	Derived vectorFound `json:"derived"`
}

type vectorIn struct {
	Purpose           Purpose  `json:"purpose"`
	Service           string   `json:"service"`
	InitiatorMetadata hexBytes `json:"initiator_metadata"`
	ResponderMetadata hexBytes `json:"responder_metadata"`
	InitiatorSeed     hexBytes `json:"initiator_mldsa44_seed"`
	ResponderSeed     hexBytes `json:"responder_mldsa44_seed"`
	InitiatorGreeting hexBytes `json:"initiator_greeting"`
	ResponderGreeting hexBytes `json:"responder_greeting"`
	ClientRandom      hexBytes `json:"client_random"`
	MLKEMSeed         hexBytes `json:"mlkem768_d_z"`
	InitiatorX25519   hexBytes `json:"initiator_x25519"`
	ServerRandom      hexBytes `json:"server_random"`
	Encapsulation     hexBytes `json:"mlkem768_m"`
	ResponderX25519   hexBytes `json:"responder_x25519"`
}

type vectorWire struct {
	ClientHello hexBytes `json:"client_hello"`
	ServerHello hexBytes `json:"server_hello"`
	ClientKey   hexBytes `json:"client_key"`
	Finished    hexBytes `json:"finished"`
}

// vectorFound is what the independent reader finds.
type vectorFound struct {
	InitiatorFingerprint string       `json:"initiator_fingerprint"`
	ResponderFingerprint string       `json:"responder_fingerprint"`
	SilenceKey           hexBytes     `json:"silence_key"`
	T                    [7]hexBytes  `json:"t1_to_t7"`
	MLKEMSecret          hexBytes     `json:"mlkem_ss"`
	X25519Secret         hexBytes     `json:"x25519_ss"`
	Early                hexBytes     `json:"early"`
	Handshake            hexBytes     `json:"hs"`
	InitiatorHS          hexBytes     `json:"c_hs"`
	ResponderHS          hexBytes     `json:"s_hs"`
	ResponderFinished    hexBytes     `json:"responder_finished"`
	InitiatorFinished    hexBytes     `json:"initiator_finished"`
	Main                 hexBytes     `json:"main"`
	InitiatorApp         hexBytes     `json:"c_ap"`
	ResponderApp         hexBytes     `json:"s_ap"`
	Exporter             hexBytes     `json:"exp"`
	Data                 []vectorData `json:"data_keys"`
}

type vectorData struct {
	Setup     hexBytes `json:"setup"`
	Direction uint8    `json:"direction"`
	Stream    uint16   `json:"stream"`
	Secret    hexBytes `json:"secret"`
	Key       hexBytes `json:"key"`
	IV        hexBytes `json:"iv"`
}

// vectorInputs are the two cases: the smallest handshake, and one that says all it can.
func vectorInputs() []vector {
	fill := func(b byte, n int) hexBytes {
		out := make(hexBytes, n)
		for i := range out {
			out[i] = b + byte(i)
		}
		return out
	}
	in := func(b byte) vectorIn {
		client, server := testGreeting(0), testGreeting(1)
		return vectorIn{
			Purpose:       PurposeZMTP,
			InitiatorSeed: fill(b, 32), ResponderSeed: fill(b+1, 32),
			InitiatorGreeting: client[:], ResponderGreeting: server[:],
			ClientRandom: fill(b+2, 32), MLKEMSeed: fill(b+3, 64), InitiatorX25519: fill(b+4, 32),
			ServerRandom: fill(b+5, 32), Encapsulation: fill(b+6, 32), ResponderX25519: fill(b+7, 32),
		}
	}
	full := in(0x40)
	full.Purpose, full.Service = PurposeLink, "orders"
	full.InitiatorMetadata, full.ResponderMetadata = []byte("from the initiator"), fill(0, 300)
	return []vector{
		{Name: "smallest", Suite: DefaultSuite().String(), Inputs: in(0x10)},
		{Name: "service and metadata", Suite: DefaultSuite().String(), Inputs: full},
	}
}

// run makes the machines do the handshake of v.
func (v *vector) run(t *testing.T) *pair {
	t.Helper()
	p := newPair(t)
	in := &v.Inputs
	identity := func(seed hexBytes) *Identity {
		id, err := newIdentity(MLDSA44, [seedLen]byte(seed))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	initiator := identity(in.InitiatorSeed)
	p.responderConf = Config{
		Identity: identity(in.ResponderSeed), Purpose: in.Purpose, Service: in.Service, Metadata: in.ResponderMetadata,
		Authorize: func(f Fingerprint) bool { return f == initiator.Fingerprint() },
	}
	p.initiatorConf = Config{
		Identity: initiator, Purpose: in.Purpose, Service: in.Service, Metadata: in.InitiatorMetadata,
		Peer: p.responderConf.Identity.Fingerprint(),
	}
	p.iSees = [2][greetingLen]byte{[greetingLen]byte(in.InitiatorGreeting), [greetingLen]byte(in.ResponderGreeting)}
	p.rSees = p.iSees
	iRandom := bytes.NewReader(bytes.Join([][]byte{in.ClientRandom, in.MLKEMSeed, in.InitiatorX25519}, nil))
	rRandom := bytes.NewReader(bytes.Join([][]byte{in.ServerRandom, in.Encapsulation, in.ResponderX25519}, nil))
	p.iSource, p.rSource = source{reader: iRandom}, source{reader: rRandom}
	p.finish()
	if iRandom.Len() != 0 || rRandom.Len() != 0 {
		t.Errorf("%s: %d and %d random bytes left over", v.Name, iRandom.Len(), rRandom.Len())
	}
	return p
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		t.Fatal(err)
	}
	if len(list) != len(vectorInputs()) {
		t.Fatalf("%s has %d vectors", vectorFile, len(list))
	}
	for i, v := range list {
		if want := vectorInputs()[i]; v.Name != want.Name || v.Suite != want.Suite {
			t.Errorf("vector %d is %q, %s", i, v.Name, v.Suite)
		}
		p := v.run(t)
		if got := p.wire(); !reflect.DeepEqual(got, v.Wire) {
			t.Errorf("%s: the machines make other messages", v.Name)
		}
		found := readVector(t, &v)
		if !reflect.DeepEqual(found, v.Derived) {
			t.Errorf("%s: the reader finds\n%+v\nthe file has\n%+v", v.Name, found, v.Derived)
		}
		sessionMatches(t, p, &found)
	}
}

func (p *pair) wire() vectorWire {
	return vectorWire{p.hello, p.answer, p.key, p.last}
}

func writeVectors(t *testing.T) {
	list := vectorInputs()
	for i := range list {
		list[i].Wire = list[i].run(t).wire()
		list[i].Derived = readVector(t, &list[i])
	}
	b, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sessionMatches holds what both sessions hand out against what the reader found.
func sessionMatches(t *testing.T, p *pair, found *vectorFound) {
	t.Helper()
	for _, s := range []*Session{p.iDone, p.rDone} {
		if !bytes.Equal(s.exporter, found.Exporter) {
			t.Error("another exporter secret")
		}
	}
	if f := p.initiatorConf.Identity.Fingerprint().String(); f != found.InitiatorFingerprint {
		t.Errorf("initiator %s", f)
	}
	if f := p.responderConf.Identity.Fingerprint().String(); f != found.ResponderFingerprint {
		t.Errorf("responder %s", f)
	}
	payload := []byte("payload of sixty-four bytes, which is what is compared here.....")
	for _, d := range found.Data {
		from := []*Session{p.iDone, p.rDone}[d.Direction]
		sealed := sealRecord(t, from.DataSealer([32]byte(d.Setup), 9, d.Stream), payload)
		// The first record of a stream: nonce = iv XOR (stream u32 | seq 0).
		nonce := bytes.Clone(d.IV)
		nonce[2] ^= byte(d.Stream >> 8)
		nonce[3] ^= byte(d.Stream)
		if got := gcmOpen(t, d.Key, nonce, sealed[:16], sealed[16:]); !bytes.Equal(got, payload) {
			t.Errorf("direction %d, stream %d: %q", d.Direction, d.Stream, got)
		}
	}
	// TCP records: the initiator begins at 0, the responder at 1 after Finished.
	for _, d := range []struct {
		session *Session
		secret  []byte
		seq     byte
	}{{p.iDone, found.InitiatorApp, 0}, {p.rDone, found.ResponderApp, 1}} {
		seal, _ := d.session.Records()
		sealed, err := seal.Seal(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		if got := tcpOpen(t, d.secret, d.seq, sealed); !bytes.Equal(got, payload) {
			t.Errorf("record %d: %q", d.seq, got)
		}
	}
}
