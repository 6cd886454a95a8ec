package handshake

import (
	"bytes"
	"slices"
	"testing"

	"github.com/qzmq/gateway/tools/vectors"
)

// The answers that others have published, through the functions that handshakes
// call: here X25519 and the short MAC. ML-KEM and ML-DSA have their own files, HKDF
// and the ciphers are in package record.

func TestPublishedX25519(t *testing.T) {
	const file = "x25519_test"
	tally := vectors.NewTally(t, file)
	for _, g := range vectors.Wycheproof[struct {
		Tests []struct {
			vectors.Case
			Public, Private, Shared vectors.Hex
		}
	}](t, file) {
		for _, v := range g.Tests {
			tally.Ran()
			key, share, err := generateKEM(X25519, bytes.NewReader(v.Private))
			if err != nil {
				t.Fatalf("%v: %v", &v.Case, err)
			}
			// Both sides of the KEM, the vector's private key being theirs in turn.
			ours, initiatorErr := key.decapsulate(v.Public)
			reply, theirs, responderErr := encapsulate(X25519, v.Public, bytes.NewReader(v.Private))
			// RFC 7748 leaves it open whether the zero secret is refused. We refuse it;
			// points that are not canonical and points on the twist are taken.
			if slices.Contains(v.Flags, "ZeroSharedSecret") {
				if initiatorErr != ErrKeyShare || responderErr != ErrKeyShare {
					t.Errorf("%v: the secret is zero, and we say %v and %v", &v.Case, initiatorErr, responderErr)
				}
				continue
			}
			if initiatorErr != nil || !bytes.Equal(ours, v.Shared) {
				t.Errorf("%v: the initiator gets %x, %v", &v.Case, ours, initiatorErr)
			}
			if responderErr != nil || !bytes.Equal(theirs, v.Shared) || !bytes.Equal(reply, share) {
				t.Errorf("%v: the responder gets %x, %v", &v.Case, theirs, responderErr)
			}
		}
	}
	tally.Done(518, vectors.Skips{})
}

// TestPublishedShortMAC is for the one primitive that is written out in this
// package: HMAC-SHA256 with a key of 32 bytes and a message of one block at most.
func TestPublishedShortMAC(t *testing.T) {
	const (
		file       = "hmac_sha256_test"
		skipKey    = "keys of a short MAC have 256 bits"
		skipLength = "messages of a short MAC have 64 bytes at most"
	)
	tally := vectors.NewTally(t, file)
	for _, g := range vectors.Wycheproof[struct {
		KeySize int // in bits, as TagSize
		TagSize int
		Tests   []struct {
			vectors.Case
			Key, Msg, Tag vectors.Hex
		}
	}](t, file) {
		for _, v := range g.Tests {
			switch {
			case g.KeySize != 256:
				tally.Skip(skipKey)
			case len(v.Msg) > maxShortMAC:
				tally.Skip(skipLength)
			default:
				tally.Ran()
				mac := shortMAC((*[32]byte)(v.Key), v.Msg)
				// Half of the vectors have tags cut to 128 bits.
				if same := bytes.Equal(mac[:g.TagSize/8], v.Tag); same != v.Valid() {
					t.Errorf("%v: %x, the vector has %x", &v.Case, mac, v.Tag)
				}
			}
		}
	}
	tally.Done(154, vectors.Skips{skipKey: 12, skipLength: 8})
}
