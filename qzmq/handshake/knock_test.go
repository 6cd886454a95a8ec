package handshake

import (
	"bytes"
	"strings"
	"testing"
)

func TestKnockFile(t *testing.T) {
	k, err := GenerateKnock()
	if err != nil {
		t.Fatal(err)
	}
	other, err := GenerateKnock()
	if err != nil || k.secret == other.secret {
		t.Fatalf("two new knocks are the same, or %v", err)
	}
	file := k.MarshalFile()
	got, err := ParseKnockFile(file)
	if err != nil || got.secret != k.secret || !bytes.Equal(got.MarshalFile(), file) {
		t.Fatalf("the knock does not survive its file: %v", err)
	}
	comment, line, _ := strings.Cut(strings.TrimSuffix(string(file), "\n"), "\n")
	for name, bad := range map[string]string{
		"empty":           "",
		"no last newline": comment + "\n" + line,
		"a line more":     string(file) + "\n",
		"CRLF":            comment + "\r\n" + line + "\r\n",
		"no comment":      line + "\n",
		"only a comment":  comment + "\n",
		"space":           comment + "\n" + line + " \n",
		"upper case":      comment + "\n" + strings.ToUpper(line) + "\n",
		"another comment": "# my knock\n" + line + "\n",
		"31 bytes":        comment + "\n" + bech32mText(knockPrefix, k.secret[:31]) + "\n",
		"33 bytes":        comment + "\n" + bech32mText(knockPrefix, append(k.secret[:], 0)) + "\n",
		"a fingerprint":   comment + "\n" + testIdentity(t, MLDSA44, 1).Fingerprint().String() + "\n",
		"a key file":      string(testIdentity(t, MLDSA44, 1).MarshalKeyFile()),
	} {
		if k, err := ParseKnockFile([]byte(bad)); k != nil || err != ErrKnockFile {
			t.Errorf("%s: %v", name, err)
		}
	}
	for at := range line { // no single wrong character passes
		damaged := comment + "\n" + line[:at] + string(line[at]^1) + line[at+1:] + "\n"
		if _, err := ParseKnockFile([]byte(damaged)); err != ErrKnockFile {
			t.Errorf("character %d may be changed", at)
		}
	}
}
