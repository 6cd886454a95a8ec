package handshake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// files are the four kinds of text file, with their readers.
func files(t testing.TB) map[string]struct {
	text  []byte
	parse func([]byte) ([]byte, error)
	want  error
} {
	t.Helper()
	ca, id := testAuthority(t, Ed25519MLDSA44, 7), testIdentity(t, MLDSA44, 1)
	q, err := NewRequest(id)
	if err != nil {
		t.Fatal(err)
	}
	type file = struct {
		text  []byte
		parse func([]byte) ([]byte, error)
		want  error
	}
	return map[string]file{
		"authority": {ca.Authority().MarshalFile(), func(b []byte) ([]byte, error) {
			a, err := ParseAuthorityFile(b)
			if err != nil {
				return nil, err
			}
			return a.MarshalFile(), nil
		}, ErrAuthorityFile},
		"request": {q.MarshalFile(), func(b []byte) ([]byte, error) {
			q, err := ParseRequestFile(b)
			if err != nil {
				return nil, err
			}
			return q.MarshalFile(), nil
		}, ErrRequestFile},
		"certificate": {issueTo(t, ca, id, testGrant("site-b")).MarshalFile(), func(b []byte) ([]byte, error) {
			c, err := ParseCertificateFile(b)
			if err != nil {
				return nil, err
			}
			return c.MarshalFile(), nil
		}, ErrCertificateFile},
		"authority key": {ca.MarshalKeyFile(), func(b []byte) ([]byte, error) {
			k, err := ParseAuthorityKeyFile(b)
			if err != nil {
				return nil, err
			}
			return k.MarshalKeyFile(), nil
		}, ErrAuthorityKeyFile},
	}
}

func TestCertificateFiles(t *testing.T) {
	all := files(t)
	id := testIdentity(t, MLDSA44, 1)
	for kind, f := range all {
		if again, err := f.parse(f.text); err != nil || !bytes.Equal(again, f.text) {
			t.Fatalf("%s: %v", kind, err)
		}
		if len(f.text) > MaxFile {
			t.Errorf("%s has %d bytes", kind, len(f.text))
		}
		text := string(f.text)
		lines := strings.SplitAfter(text, "\n")
		bad := map[string]string{
			"empty":            "",
			"a newline":        "\n",
			"no last newline":  strings.TrimSuffix(text, "\n"),
			"a line more":      text + "\n",
			"CRLF":             strings.ReplaceAll(text, "\n", "\r\n"),
			"no comment":       strings.Join(lines[1:], ""),
			"comment changed":  "#" + text,
			"another comment":  "# qzmq " + kind + " site-c " + id.Fingerprint().String() + "\n" + strings.Join(lines[1:], ""),
			"space":            strings.Replace(text, "\n", " \n", 1),
			"twice":            text + text,
			"lines joined":     lines[0] + strings.ReplaceAll(strings.Join(lines[1:], ""), "\n", "") + "\n",
			"a line less":      strings.Join(append(lines[:1:1], lines[2:]...), ""),
			"the key":          string(id.MarshalKeyFile()),
			"far too long":     text + strings.Repeat("A", MaxFile),
			"only the comment": lines[0],
		}
		for other, o := range all {
			if other != kind {
				bad[other] = string(o.text)
			}
		}
		for at := 0; at < len(text); at += 1 + at/40 {
			bad[fmt.Sprintf("character %d changed", at)] = text[:at] + string(text[at]^1) + text[at+1:]
		}
		for name, b := range bad {
			if kind == "authority key" && name == "lines joined" {
				continue // it has one line, and stays as it is
			}
			if _, err := f.parse([]byte(b)); err != f.want {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
		}
	}
	if _, err := ParseKeyFile(all["authority key"].text); err != ErrKeyFile {
		t.Errorf("an authority's key is taken for an identity: %v", err)
	}
	// A request whose text is whole and whose proof is not says so.
	q, err := NewRequest(id)
	if err != nil {
		t.Fatal(err)
	}
	q.signature = flipped(q.signature, 3)
	if _, err := ParseRequestFile(q.MarshalFile()); err != ErrPossession {
		t.Errorf("a request without a proof: %v", err)
	}
}

func TestAuthorityKeyHides(t *testing.T) {
	k, err := GenerateAuthority(MLDSA65)
	if err != nil {
		t.Fatal(err)
	}
	if k.Authority().Algorithm() != MLDSA65 {
		t.Errorf("an authority of %v", k.Authority().Algorithm())
	}
	js, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %x", k, k, k, k, *k), string(js)} {
		if strings.Trim(strings.ReplaceAll(text, "[secret]", ""), ` "`) != "" {
			t.Errorf("%s", text)
		}
	}
	if _, err := GenerateAuthority(0); !errors.Is(err, ErrUnknownSuite) {
		t.Errorf("an authority of no algorithm: %v", err)
	}
}

func FuzzCertificate(f *testing.F) {
	for alg := Ed25519; alg.Valid(); alg++ {
		c := issueTo(f, testAuthority(f, alg, 7), testIdentity(f, alg, 1), testGrant("site-b"))
		f.Add(c.Marshal())
		c.Routes = nil
		f.Add(c.Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCertificate(b)
		if err != nil {
			return
		}
		if got := c.Marshal(); !bytes.Equal(got, b) {
			t.Fatalf("%x became %x", b, got)
		}
		if again, err := ParseCertificateFile(c.MarshalFile()); err != nil || !bytes.Equal(again.Marshal(), b) {
			t.Fatalf("%x does not survive its file: %v", b, err)
		}
		if r, err := ParseRoles(c.Roles.String()); err != nil || r != c.Roles {
			t.Fatalf("roles %d are written %q", c.Roles, c.Roles)
		}
	})
}

func FuzzRequest(f *testing.F) {
	for alg := Ed25519; alg.Valid(); alg++ {
		q, err := NewRequest(testIdentity(f, alg, 1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(q.Marshal())
		f.Add(testAuthority(f, alg, 7).Authority().Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := ParseRequest(b); err == nil && !bytes.Equal(q.Marshal(), b) {
			t.Fatalf("%x became %x", b, q.Marshal())
		}
		if a, err := ParseAuthority(b); err == nil && !bytes.Equal(a.Marshal(), b) {
			t.Fatalf("%x became %x", b, a.Marshal())
		}
	})
}

func FuzzCertificateFiles(f *testing.F) {
	all := files(f)
	for _, file := range all {
		f.Add(file.text)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for kind, file := range all {
			if again, err := file.parse(b); err == nil && !bytes.Equal(again, b) {
				t.Fatalf("%s: %q became %q", kind, b, again)
			}
		}
	})
}
