package record_test

import (
	"bytes"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// Nothing that its sealer did not make opens, nothing panics, and whatever came
// before, the genuine records open afterwards.
func FuzzOpen(f *testing.F) {
	s, _ := pair(record.AES256GCM, 1)
	genuine := [][]byte{seal(f, s, nil), seal(f, s, []byte("payload")), seal(f, s, make([]byte, 100))}
	payloads := [][]byte{nil, []byte("payload"), make([]byte, 100)}
	for _, r := range genuine {
		f.Add(r)
		f.Add(r[:len(r)-1])
		f.Add(append(bytes.Clone(r), 1))
	}
	f.Add(header(0x10, 0, testStream, testSession, 1<<63))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, o := pair(record.AES256GCM, 1)
		before := bytes.Clone(b)
		got, v := open(o, b)
		if !bytes.Equal(b, before) {
			t.Fatal("Open changed the record")
		}
		ours := -1
		for i, r := range genuine {
			if bytes.Equal(b, r) {
				ours = i
			}
		}
		if (v == record.Opened) != (ours >= 0) || v != record.Opened && len(got) != 0 {
			t.Fatalf("verdict %d with %d bytes for %x", v, len(got), b)
		}
		for i, r := range genuine {
			if i != ours {
				mustOpen(t, o, r, payloads[i])
			}
		}
	})
}

// The same for TCP, where one wrong record is the last.
func FuzzStreamOpen(f *testing.F) {
	sealed, err := record.NewStreamSealer(keys(record.ChaCha20Poly1305, 1)).Seal(nil, []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[1:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		o := record.NewStreamOpener(keys(record.ChaCha20Poly1305, 1))
		got, err := o.Open(nil, b)
		if genuine := bytes.Equal(b, sealed); (err == nil) != genuine || genuine && string(got) != "payload" {
			t.Fatalf("%q, %v for %x", got, err, b)
		}
		if _, again := o.Open(nil, sealed); again == nil {
			t.Fatal("the opener goes on after a wrong or a repeated record")
		}
	})
}
