package main

import (
	"errors"
	"fmt"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// wireRows counts the bytes of one real handshake in every suite that is built:
// handshake messages only, since the ZMTP greetings and frames around them are the
// same in all suites. Lengths do not vary, so once is enough.
func wireRows(s *sheet.Sheet) error {
	w := newStopwatch()
	rival, err := newTLSPair()
	if err != nil {
		return err
	}
	n, err := rival.handshake(w)
	if err != nil {
		return err
	}
	s.Plain(sheet.Wire, "bytes of a handshake, crypto/tls, X25519MLKEM768, Ed25519 certificates", "bytes").Add(float64(n))

	own, err := identities()
	if err != nil {
		return err
	}
	rows := make(map[string]*sheet.Row)
	for _, suite := range suites() {
		p, err := pairOf(suite, own[suite.Sig][initiator], own[suite.Sig][responder])
		if errors.Is(err, handshake.ErrSuiteNotBuilt) {
			continue
		}
		if err != nil {
			return err
		}
		x, err := p.handshake(w)
		if err != nil {
			return fmt.Errorf("%v: %w", suite, err)
		}
		x.close()
		if suite == handshake.DefaultSuite() {
			messageRows(s, &x)
		}
		// Only the length of the hash can make a difference, and padding may hide it:
		// suites of one KEM and signature share a row.
		name := fmt.Sprintf("bytes of a handshake, %v/%v, over all AEADs and hashes", suite.KEM, suite.Sig)
		if rows[name] == nil {
			rows[name] = s.Plain(sheet.Wire, name, "bytes")
		}
		rows[name].Add(float64(x.wireLen()))
	}
	return nil
}

func messageRows(s *sheet.Sheet, x *exchange) {
	for _, m := range []struct {
		name string
		n    int
	}{
		{"all of it", x.wireLen()},
		{"ClientHello", len(x.hello)}, {"ServerHello", len(x.answer)}, {"ClientKey", len(x.key)}, {"Finished", len(x.last)},
	} {
		s.Plain(sheet.Wire, "bytes of a handshake, QZMQ default suite, "+m.name, "bytes").Add(float64(m.n))
	}
}

// registry is every code of one kind; valid knows where the registry ends.
func registry[T ~uint8](valid func(T) bool) (all []T) {
	for code := T(1); code != 0; code++ {
		if valid(code) {
			all = append(all, code)
		}
	}
	return all
}

// suites is the whole registry.
func suites() (all []handshake.Suite) {
	for _, kem := range registry(handshake.KEM.Valid) {
		for _, sig := range registry(handshake.Signature.Valid) {
			for _, aead := range registry(record.AEAD.Valid) {
				for _, hash := range registry(record.Hash.Valid) {
					all = append(all, handshake.Suite{KEM: kem, Sig: sig, AEAD: aead, Hash: hash})
				}
			}
		}
	}
	return all
}

// identities makes two of every algorithm.
func identities() (map[handshake.Signature][sides]*handshake.Identity, error) {
	all := make(map[handshake.Signature][sides]*handshake.Identity)
	for _, sig := range registry(handshake.Signature.Valid) {
		var two [sides]*handshake.Identity
		for side := range two {
			var err error
			if two[side], err = handshake.GenerateIdentityFor(sig); err != nil {
				return nil, err
			}
		}
		all[sig] = two
	}
	return all, nil
}
