package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/record/vaes"
)

const (
	burstLen = 64  // records that are sealed in one call, as the dataplane does
	turnLen  = 256 // records between two readings of the clock
)

// ciphers is what records are sealed with and what is under it, called alone.
func ciphers() []struct {
	name string
	code record.AEAD
	bare func(key []byte) (cipher.AEAD, error)
} {
	return []struct {
		name string
		code record.AEAD
		bare func(key []byte) (cipher.AEAD, error)
	}{
		{"aes256gcm", record.AES256GCM, func(key []byte) (cipher.AEAD, error) {
			if name, _ := record.Provider(); name != "standard library" {
				return vaes.New(key)
			}
			block, err := aes.NewCipher(key)
			if err != nil {
				return nil, err
			}
			return cipher.NewGCM(block)
		}},
		{"chacha20poly1305", record.ChaCha20Poly1305, chacha20poly1305.New},
	}
}

// recordRows compares sealing and opening of a record with the bare call of its
// cipher: same memory, same lengths, same associated data, taking turns.
func recordRows(s *sheet.Sheet, e effort) (round, error) {
	var all []*recordBench
	for _, size := range []int{1420, 64} {
		for _, c := range ciphers() {
			b, err := newRecordBench(c.code, c.bare, size)
			if err != nil {
				return nil, err
			}
			want := sheet.Goal{}
			if size == 1420 {
				want = sheet.AtLeast(0.85)
			}
			b.rows(s, fmt.Sprintf("%s, %d B", c.name, size), want)
			all = append(all, b)
		}
	}
	return func() error {
		for _, b := range all {
			if err := b.round(e.turns); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// recordBench is one cipher at one length.
type recordBench struct {
	cipher  cipher.AEAD
	nonce   []byte
	sealer  *record.Sealer
	opener  *record.Opener
	burst   *record.Burst
	plain   [][]byte
	sealed  [][]byte
	price   time.Duration // of reading the clock
	ratio   [2]*sheet.Row // of the bare call's speed, for sealing and opening
	took    [2]*sheet.Row // ns per record
	elapsed [2][2]time.Duration
}

// Indices of elapsed: what was done, and by whom.
const sealing, opening, byUs, byCipher = 0, 1, 0, 1

func newRecordBench(code record.AEAD, bare func([]byte) (cipher.AEAD, error), size int) (*recordBench, error) {
	c, err := bare(random(32))
	if err != nil {
		return nil, err
	}
	b := &recordBench{cipher: c, nonce: make([]byte, c.NonceSize()), burst: record.NewBurst(burstLen), price: newStopwatch().price}
	b.sealer, b.opener = stream(code, code.Limits())
	for range turnLen {
		b.plain = append(b.plain, make([]byte, size))
		b.sealed = append(b.sealed, make([]byte, size+record.Overhead))
	}
	return b, nil
}

// stream gives both ends of one, whose keys change as limits say.
func stream(code record.AEAD, limits record.Limits) (*record.Sealer, *record.Opener) {
	const session, id = 7, 1
	secret := random(record.SHA256.Size())
	keys := func() *record.Keys { return record.NewKeys(code, record.SHA256, secret).Lower(limits) }
	return record.NewSealer(keys(), session, id), record.NewOpener(keys(), session, id)
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: the runtime ends the program instead
	return b
}

func (b *recordBench) rows(s *sheet.Sheet, of string, want sheet.Goal) {
	for i, name := range []string{sealing: "seal", opening: "open"} {
		b.ratio[i] = s.Row(sheet.Ratios, "record "+name+", "+of+", speed of the bare cipher", "x", want)
		b.took[i] = s.Plain(sheet.Times, "record "+name+", "+of, "ns")
	}
}

var errRecord = errors.New("a record that was just sealed does not open")

func (b *recordBench) round(turns int) error {
	b.elapsed = [2][2]time.Duration{}
	for range turns {
		for _, f := range []struct {
			what, who int
			do        func() error
		}{
			{sealing, byUs, b.seal}, {opening, byUs, b.open}, // opens what was just sealed, which no opener takes twice
			{sealing, byCipher, b.bareSeal}, {opening, byCipher, b.bareOpen},
		} {
			start := threadTime()
			if err := f.do(); err != nil {
				return err
			}
			b.elapsed[f.what][f.who] += threadTime() - start - b.price
		}
	}
	for i, e := range b.elapsed {
		b.ratio[i].Add(float64(e[byCipher]) / float64(e[byUs]))
		b.took[i].Add(nanos(e[byUs], turns*turnLen))
	}
	return nil
}

func (b *recordBench) seal() error {
	for i, p := range b.plain {
		if b.burst.Full() {
			b.burst.Seal()
		}
		if !b.burst.Add(b.sealer, b.sealed[i], p) {
			return errRecord
		}
	}
	b.burst.Seal()
	return nil
}

func (b *recordBench) open() error {
	b.opener.Acquire(1)
	defer b.opener.Release()
	for i, r := range b.sealed {
		if _, v := b.opener.Open(b.plain[i], r); v != record.Opened {
			return errRecord
		}
	}
	return nil
}

func (b *recordBench) bareSeal() error {
	for i, r := range b.sealed {
		b.cipher.Seal(r[record.HeaderLen:record.HeaderLen], b.nonce, b.plain[i], r[:record.HeaderLen])
	}
	return nil
}

func (b *recordBench) bareOpen() error {
	for i, r := range b.sealed {
		if _, err := b.cipher.Open(b.plain[i][:0], b.nonce, r[record.HeaderLen:], r[:record.HeaderLen]); err != nil {
			return err
		}
	}
	return nil
}
