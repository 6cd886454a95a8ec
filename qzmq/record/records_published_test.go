package record

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"
)

// Records that we publish ourselves, for every cipher and hash: on UDP and on TCP
// through four epochs, and a sealed flight. tools/vectors/check.py reads the same
// file, and knows the specification and none of our code.

const recordFile = "../testdata/records.json"

var update = flag.Bool("update", false, "write "+recordFile+" anew")

// hexBytes is hexadecimal in JSON.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// vectorStream is one direction of one stream, or one flight.
type vectorStream struct {
	Transport string         `json:"transport"` // udp, tcp or flight
	AEAD      string         `json:"aead"`
	Hash      string         `json:"hash"`
	Session   uint32         `json:"session"` // 0 but on udp
	Stream    uint16         `json:"stream"`  // 1 on tcp, 0 for a flight
	Epochs    []vectorEpoch  `json:"epochs"`
	Records   []vectorRecord `json:"records"`
}

type vectorEpoch struct {
	Secret hexBytes `json:"secret"`
	Key    hexBytes `json:"key"`
	IV     hexBytes `json:"iv"`
}

type vectorRecord struct {
	Epoch     uint8    `json:"epoch"`
	Seq       uint64   `json:"seq,string"` // text, since many readers of JSON lose digits
	AAD       hexBytes `json:"aad"`        // the header; for a flight what the handshake says
	Plaintext hexBytes `json:"plaintext"`
	Sealed    hexBytes `json:"sealed"` // without the header
}

// vectorStarts is where the numbers of each epoch's records begin: at 0, where
// carries reach the next bytes, and at the end of what 64 bits can say.
var vectorStarts = [4]uint64{0, 1<<16 - 2, 1<<32 - 2, 1<<64 - 4}

// vectorLengths are those of the payloads that follow each start.
var vectorLengths = [3]int{0, 17, 100}

func fill(first byte, n int) hexBytes {
	b := make(hexBytes, n)
	for i := range b {
		b[i] = first + byte(3*i)
	}
	return b
}

// The names of suites.
var (
	vectorCiphers = map[string]AEAD{"aes256gcm": AES256GCM, "chacha20poly1305": ChaCha20Poly1305}
	vectorHashes  = map[string]Hash{"sha256": SHA256, "sha384": SHA384, "sha512": SHA512}
)

// vectorStreams seals everything anew.
func vectorStreams(t *testing.T) (list []vectorStream) {
	for _, aeadName := range slices.Sorted(maps.Keys(vectorCiphers)) {
		for _, hashName := range slices.Sorted(maps.Keys(vectorHashes)) {
			a, h := vectorCiphers[aeadName], vectorHashes[hashName]
			name := vectorStream{AEAD: aeadName, Hash: hashName}
			secret := fill(byte(a)<<4|byte(h), h.Size())
			limits := a.Limits()
			limits.FirstRecords = uint64(len(vectorLengths))
			limits.RotateRecords = limits.FirstRecords

			udp := name
			udp.Transport, udp.Session, udp.Stream = "udp", 0xa1b2c3d4, 0x0102
			udp.Epochs = vectorEpochs(h, secret, len(vectorStarts))
			s := NewSealer(NewKeys(a, h, secret).Lower(limits), udp.Session, udp.Stream)
			udp.sealUDP(t, s)

			tcp := name
			tcp.Transport, tcp.Stream = "tcp", tcpStream
			tcp.Epochs = udp.Epochs
			tcp.sealTCP(t, NewStreamSealer(NewKeys(a, h, secret)))

			flight := name
			flight.Transport, flight.Epochs = "flight", vectorEpochs(h, secret, 1)
			r := vectorRecord{AAD: fill(0xa0, h.Size()), Plaintext: fill(0x80, 256)}
			r.Sealed = NewKeys(a, h, secret).SealOnce(r.AAD, r.Plaintext)
			flight.Records = []vectorRecord{r}

			list = append(list, udp, tcp, flight)
		}
	}
	return list
}

func vectorEpochs(h Hash, secret []byte, n int) (list []vectorEpoch) {
	for range n {
		list = append(list, vectorEpoch{
			Secret: secret,
			Key:    ExpandLabel(h, secret, "key", nil, keyLen),
			IV:     ExpandLabel(h, secret, "iv", nil, nonceLen),
		})
		secret = ExpandLabel(h, secret, "traffic upd", nil, h.Size())
	}
	return list
}

func (v *vectorStream) sealUDP(t *testing.T, s *Sealer) {
	t.Helper()
	burst := NewBurst(1)
	for _, start := range vectorStarts {
		s.header.Seq = start
		for i, n := range vectorLengths {
			r := vectorRecord{Seq: start + uint64(i), Plaintext: fill(byte(start)+byte(i), n)}
			b := make([]byte, n+Overhead)
			if !burst.Add(s, b, r.Plaintext) {
				t.Fatal("the sealer refuses")
			}
			burst.Seal()
			r.Epoch, r.AAD, r.Sealed = s.Epoch(), b[:HeaderLen], b[HeaderLen:]
			v.Records = append(v.Records, r)
		}
		s.Prepare()
	}
}

func (v *vectorStream) sealTCP(t *testing.T, s *StreamSealer) {
	t.Helper()
	for epoch, start := range vectorStarts {
		updateTCP(t, &s.tcp, epoch)
		s.header.Seq = start
		for i, n := range vectorLengths {
			r := vectorRecord{Epoch: uint8(epoch), Seq: start + uint64(i), Plaintext: fill(byte(start)+byte(i), n)}
			var err error
			if r.Sealed, err = s.Seal(nil, r.Plaintext); err != nil {
				t.Fatal(err)
			}
			r.AAD = bytes.Clone(s.aad[:])
			v.Records = append(v.Records, r)
		}
	}
}

// updateTCP brings one direction to an epoch, as if enough records had been sent.
func updateTCP(t *testing.T, s *tcp, epoch int) {
	t.Helper()
	for int(s.Epoch()) < epoch {
		s.records = minUpdate
		if err := s.update(); err != nil {
			t.Fatal(err)
		}
	}
}

// open takes the records as they were published, in their order.
func (v *vectorStream) open(t *testing.T, a AEAD, h Hash) {
	t.Helper()
	keys := NewKeys(a, h, v.Epochs[0].Secret)
	var next func(r *vectorRecord) ([]byte, error)
	switch v.Transport {
	case "udp":
		o := NewOpener(keys, v.Session, v.Stream)
		next = func(r *vectorRecord) ([]byte, error) {
			dst := make([]byte, len(r.Plaintext))
			n, verdict := o.Open(dst, slices.Concat(r.AAD, r.Sealed))
			if verdict != Opened {
				return nil, ErrBadRecord
			}
			return dst[:n], nil
		}
	case "tcp":
		o := NewStreamOpener(keys)
		next = func(r *vectorRecord) ([]byte, error) {
			updateTCP(t, &o.tcp, int(r.Epoch))
			o.header.Seq = r.Seq
			return o.Open(nil, r.Sealed)
		}
	default:
		next = func(r *vectorRecord) ([]byte, error) { return keys.OpenOnce(r.AAD, r.Sealed) }
	}
	for i := range v.Records {
		r := &v.Records[i]
		if got, err := next(r); err != nil || !bytes.Equal(got, r.Plaintext) {
			t.Errorf("%s %s record %d of epoch %d opens to %x, %v", v.Transport, v.AEAD, r.Seq, r.Epoch, got, err)
		}
	}
}

func TestPublishedRecords(t *testing.T) {
	list := vectorStreams(t)
	if *update {
		b, err := json.MarshalIndent(list, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(recordFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(recordFile)
	if err != nil {
		t.Fatal(err)
	}
	var published []vectorStream
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&published); err != nil {
		t.Fatal(err)
	}
	if len(published) != len(list) {
		t.Fatalf("%s has %d streams, want %d", recordFile, len(published), len(list))
	}
	for i, v := range published {
		if !reflect.DeepEqual(v, list[i]) {
			t.Errorf("stream %d, %s under %s and %s: we make other records", i, v.Transport, v.AEAD, v.Hash)
		}
		v.open(t, vectorCiphers[v.AEAD], vectorHashes[v.Hash])
	}
}
