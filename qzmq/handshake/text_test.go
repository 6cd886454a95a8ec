package handshake

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestBech32m has the vectors of BIP-350. Upper case is valid there and not here.
func TestBech32m(t *testing.T) {
	for _, s := range []string{
		"a1lqfn3a",
		"an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
		"abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
		"11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
		"split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
		"?1v759aa",
	} {
		hrp, values, err := bech32mDecode(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if got := bech32mEncode(hrp, values); got != s {
			t.Errorf("%q became %q", s, got)
		}
		for at := range len(s) { // no single wrong character passes
			if _, _, err := bech32mDecode(s[:at] + string(s[at]^1) + s[at+1:]); err == nil {
				t.Errorf("%q passes with character %d changed", s, at)
			}
		}
	}
	for _, s := range []string{
		"A1LQFN3A",
		"\x201xj0phk", "\x7f1g6xzxy", "\x801vctc34", // prefix out of range
		"an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4", // too long
		"qyrz8wqd2c9m", "1qyrz8wqd2c9m", "16plkw9", "1p2gdwpf", // no separator, empty prefix
		"y1b0jsk6g", "lt1igcx5c0", // characters that do not exist
		"in1muywd",               // checksum too short
		"mm1crxm3i", "au1s5cgom", // characters that do not exist, in the checksum
		"M1VUXWEZ", // checksum over the upper-case prefix
		"a12uel5l", // a bech32 checksum, not bech32m
		"",
	} {
		if _, _, err := bech32mDecode(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestFingerprint(t *testing.T) {
	a, b := testIdentity(t, MLDSA44, 1), testIdentity(t, MLDSA44, 2)
	f := a.Fingerprint()
	s := f.String()
	if len(s) != 61 || !strings.HasPrefix(s, "qz1") {
		t.Errorf("%q has %d characters", s, len(s))
	}
	if got, err := ParseFingerprint(s); err != nil || got != f {
		t.Errorf("%v, %v", got, err)
	}
	if f == b.Fingerprint() || f.IsZero() || !(Fingerprint{}).IsZero() {
		t.Error("fingerprints do not tell keys apart")
	}
	if newFingerprint(MLDSA65, a.public) == f {
		t.Error("the algorithm is not in the fingerprint")
	}
	for name, bad := range map[string]string{
		"upper case":     strings.ToUpper(s),
		"space":          s + " ",
		"short":          s[:60],
		"other prefix":   bech32mText("qy", f[:]),
		"31 bytes":       bech32mText("qz", f[:31]),
		"33 bytes":       bech32mText("qz", append(f[:], 0)),
		"bits left over": bech32mEncode("qz", append(make([]byte, 51), 1)),
		"typo":           strings.Replace(s, s[10:11], map[bool]string{true: "q", false: "p"}[s[10] == 'p'], 1),
		"empty":          "",
		"a key file":     string(a.MarshalKeyFile()),
	} {
		_, err := ParseFingerprint(bad)
		if err == nil {
			t.Errorf("%s is taken", name)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%s: the error repeats its input", name)
		}
	}
	var back struct{ Peer Fingerprint }
	text, err := json.Marshal(struct{ Peer Fingerprint }{f})
	if err != nil || string(text) != `{"Peer":"`+s+`"}` {
		t.Errorf("JSON %s, %v", text, err)
	}
	if err := json.Unmarshal(text, &back); err != nil || back.Peer != f {
		t.Errorf("from JSON %v, %v", back.Peer, err)
	}
	if err := back.Peer.UnmarshalText([]byte("qz1")); err == nil || back.Peer != f {
		t.Errorf("a bad text changed the value: %v, %v", back.Peer, err)
	}
}

func TestKeyFile(t *testing.T) {
	for alg := Ed25519; alg.Valid(); alg++ {
		id := testIdentity(t, alg, 7)
		file := id.MarshalKeyFile()
		got, err := ParseKeyFile(file)
		if err != nil {
			t.Fatalf("%v: %v", alg, err)
		}
		if got.Fingerprint() != id.Fingerprint() || got.Algorithm() != alg || !bytes.Equal(got.MarshalKeyFile(), file) {
			t.Errorf("%v: %v became %v", alg, id, got)
		}
	}
	id := testIdentity(t, MLDSA44, 7)
	file := string(id.MarshalKeyFile())
	comment, line, _ := strings.Cut(strings.TrimSuffix(file, "\n"), "\n")
	_, other, _ := strings.Cut(string(testIdentity(t, MLDSA44, 8).MarshalKeyFile()), "\n")
	unknown := append([]byte{9}, id.seed[:]...)
	for name, bad := range map[string]string{
		"empty":                   "",
		"no last newline":         comment + "\n" + line,
		"a line more":             file + "\n",
		"CRLF":                    comment + "\r\n" + line + "\r\n",
		"no comment":              line + "\n",
		"only a comment":          comment + "\n",
		"space":                   comment + "\n" + line + " \n",
		"upper case":              comment + "\n" + strings.ToUpper(line) + "\n",
		"another key's comment":   comment + "\n" + other,
		"comment changed":         "#" + file,
		"unknown algorithm":       comment + "\n" + bech32mText(keyFilePrefix, unknown) + "\n",
		"short":                   comment + "\n" + bech32mText(keyFilePrefix, unknown[:32]) + "\n",
		"a fingerprint for a key": comment + "\n" + id.Fingerprint().String() + "\n",
	} {
		if _, err := ParseKeyFile([]byte(bad)); !errors.Is(err, ErrKeyFile) || err.Error() != ErrKeyFile.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	b, err := GenerateIdentity()
	if err != nil || a.Fingerprint() == b.Fingerprint() || a.Algorithm() != MLDSA44 {
		t.Errorf("%v and %v, %v, %v", a, b, a.Algorithm(), err)
	}
	if _, err := GenerateIdentityFor(7); !errors.Is(err, ErrUnknownSuite) {
		t.Errorf("an identity of algorithm 7: %v", err)
	}
}

func TestParseSuite(t *testing.T) {
	if s, err := ParseSuite("x25519+mlkem768", "mldsa44", "aes256gcm", "sha256"); err != nil || s != DefaultSuite() {
		t.Errorf("%v, %v", s, err)
	}
	for _, s := range built(t) {
		part := strings.Split(s.String(), "/")
		if len(part) != 4 {
			t.Fatalf("%v", s)
		}
		if got, err := ParseSuite(part[0], part[1], part[2], part[3]); err != nil || got != s {
			t.Errorf("%v became %v, %v", s, got, err)
		}
	}
	for _, c := range []struct {
		kem, sig, aead, hash string
		want                 error
		names                string
	}{
		{"mlkem512", "mldsa44", "aes256gcm", "sha256", ErrUnknownSuite, "mlkem512"},
		{"x25519", "mldsa2", "aes256gcm", "sha256", ErrUnknownSuite, "mldsa2"},
		{"x25519", "mldsa44", "aes128gcm", "sha256", ErrUnknownSuite, "aes128gcm"},
		{"x25519", "mldsa44", "aes256gcm", "blake3", ErrUnknownSuite, "blake3"},
		{"", "mldsa44", "aes256gcm", "sha256", ErrUnknownSuite, "kem"},
		{"X25519", "mldsa44", "aes256gcm", "sha256", ErrUnknownSuite, "X25519"},
	} {
		_, err := ParseSuite(c.kem, c.sig, c.aead, c.hash)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if got := (Suite{9, 0, 3, 4}).String(); got != "kem_9/sig_0/aead_3/hash_4" {
		t.Errorf("%q", got)
	}
}

// TestModes is the table of section 2.2.
func TestModes(t *testing.T) {
	for _, s := range built(t) {
		hybridKEM := s.KEM == X25519MLKEM768 || s.KEM == X25519MLKEM1024
		lattice := s.Sig != Ed25519
		for mode, want := range map[Mode]bool{
			ModeHybrid:    hybridKEM && lattice,
			ModePQOnly:    s.KEM != X25519 && lattice,
			ModeClassical: true,
			Mode(3):       false,
		} {
			if mode.Admits(s) != want {
				t.Errorf("%v admits %v: %v", mode, s, !want)
			}
		}
	}
	for _, m := range []Mode{ModeHybrid, ModePQOnly, ModeClassical} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%v became %v, %v", m, got, err)
		}
	}
	if _, err := ParseMode("none"); err == nil {
		t.Error("mode none is taken")
	}
}

func TestAlerts(t *testing.T) {
	for a, want := range map[Alert]string{
		0: "close", 10: "unexpected_message", 20: "bad_record", 22: "overflow", 40: "handshake_failure",
		49: "access_denied", 50: "decode_error", 71: "insufficient_security", 80: "internal",
		90: "superseded", 110: "unsupported_extension", 120: "wrong_purpose", 255: "none", 7: "alert_7",
	} {
		if a.String() != want {
			t.Errorf("%d is %q, want %q", uint8(a), a, want)
		}
	}
	for err, want := range map[error]Alert{
		nil:                              AlertNone,
		errors.New("not ours"):           AlertInternal,
		silently(ErrSilenceMAC):          AlertNone,
		inClear(ErrUnsupportedExtension): AlertHandshakeFailure,
		untold(ErrOpen):                  AlertNone,
	} {
		if AlertFor(err) != want {
			t.Errorf("AlertFor(%v) is %v", err, AlertFor(err))
		}
	}
}
