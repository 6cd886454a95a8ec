package controlplane

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// authFile is a configuration with everything that names peers; its files are in DIR.
const authFile = `gateway:
  name: site-a
  identity: DIR/a.key
  certificate: DIR/a.cert
  inside: { interface: eth1 }
  outside: { interface: eth2, address: 192.0.2.1 }
qzmq:
  authorities: [DIR/ca.pub, DIR/other.pub]
  authorised_keys: DIR/keys
links:
  - { name: b, peer_name: site-b, routes: [10.2.0.0/24] }
  - { name: c, peer: PEER2, peer_name: site-c, routes: [10.3.0.0/24] }
`

// authDir has every file that authFile names, all of them good.
func authDir(t *testing.T) (dir string, ca *handshake.AuthorityKey, id *handshake.Identity) {
	t.Helper()
	dir = t.TempDir()
	ca = newTestAuthority(t)
	id, err := CreateIdentity(filepath.Join(dir, "a.key"), handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"ca.pub":    ca.Authority().MarshalFile(),
		"other.pub": newTestAuthority(t).Authority().MarshalFile(),
		"a.cert":    certify(t, ca, id, "site-a", "10.1.0.0/16").MarshalFile(),
		"keys":      []byte("# pinned\n\n" + peerText(5) + " site-d\n" + peerText(6) + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, ca, id
}

func authConfig(t *testing.T, dir, text string) *Config {
	t.Helper()
	c, err := Parse("a.yaml", []byte(strings.NewReplacer("DIR", dir, "PEER2", peerText(2)).Replace(text)), env{}.get)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReadAuthority(t *testing.T) {
	dir, ca, id := authDir(t)
	c := authConfig(t, dir, authFile)
	a, err := c.readAuthority(id, authNow())
	if err != nil {
		t.Fatal(err)
	}
	if len(a.trusted) != 2 || a.trusted[0].Fingerprint() != ca.Authority().Fingerprint() || a.certificate.Name != "site-a" || a.own != id.Fingerprint() ||
		len(a.keys) != 2 || a.keys[0] != (authorisedKey{handshake.Fingerprint{5}, "site-d"}) || a.keys[1] != (authorisedKey{handshake.Fingerprint{6}, ""}) || len(a.links) != 2 {
		t.Errorf("%+v", a)
	}
	certificate, err := c.ReadCertificate()
	if err != nil || certificate.Name != "site-a" {
		t.Errorf("%v, %v", certificate, err)
	}
	// A configuration without any of it has an authority that knows pins only.
	plain, err := authConfig(t, dir, minimal).readAuthority(id, authNow())
	if err != nil || plain.certificate != nil || plain.trusted != nil || plain.keys != nil {
		t.Errorf("%+v, %v", plain, err)
	}
}

// TestAuthorityFiles is what can be wrong with the files; each is reported at the
// line that names it.
func TestAuthorityFiles(t *testing.T) {
	dir, ca, id := authDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	text := func(b []byte) string { return string(b) }
	classical, err := handshake.GenerateAuthority(handshake.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	zmtp := func() *handshake.Certificate {
		q, err := handshake.NewRequest(id)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ca.Issue(q, handshake.Grant{Name: "site-a", Roles: handshake.ZMTPRoles, NotBefore: authNow(), NotAfter: authNow().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}()
	stranger := newTestAuthority(t)
	forged := certify(t, stranger, id, "site-a")
	forged.Issuer = ca.Authority().Fingerprint()
	day := 24 * time.Hour
	for _, tc := range []struct {
		name, file, content string
		mode                fs.FileMode
		edit                [2]string // in the configuration
		after               time.Duration
		want                string
	}{
		{name: "no certificate", file: "a.cert", content: "-", want: "4: gateway.certificate: reading the certificate: open " + in("a.cert") + ": no such file or directory"},
		{name: "a key for a certificate", file: "a.cert", content: text(id.MarshalKeyFile()), want: "4: gateway.certificate: " + in("a.cert") + ": handshake: not a certificate, or a damaged one"},
		{name: "certificate of another", file: "a.cert", content: text(certify(t, ca, newTestIdentity(t), "site-a").MarshalFile()), want: "4: gateway.certificate: " + in("a.cert") + " is for another key, "},
		{name: "certificate for another purpose", file: "a.cert", content: text(zmtp.MarshalFile()), want: "4: gateway.certificate: " + in("a.cert") + " is for zmtp, not for links"},
		{name: "forged certificate", file: "a.cert", content: text(forged.MarshalFile()), want: "4: gateway.certificate: " + in("a.cert") + ": the certificate's signature is not its issuer's"},
		{name: "expired", after: 31 * day, want: "4: gateway.certificate: " + in("a.cert") + ": the certificate has expired (it is valid from 2026-06-15 11:00:00 UTC to 2026-07-15 12:00:00 UTC)"},
		{name: "not yet valid", after: -day, want: "4: gateway.certificate: " + in("a.cert") + ": the certificate is not valid yet (it is valid from "},
		{name: "expired, of an unknown authority", file: "a.cert", content: text(certify(t, stranger, id, "site-a").MarshalFile()), after: 31 * day,
			want: "4: gateway.certificate: " + in("a.cert") + ": the certificate has expired (it"},
		{name: "of an unknown authority", file: "a.cert", content: text(certify(t, stranger, id, "site-a").MarshalFile())},
		{name: "no authority", file: "ca.pub", content: "-", want: "8: qzmq.authorities[0]: reading the authority's file: open " + in("ca.pub") + ": no such file or directory"},
		{name: "authority's key", file: "other.pub", content: text(stranger.MarshalKeyFile()), want: "8: qzmq.authorities[1]: " + in("other.pub") + ": handshake: not an authority's public file, or a damaged one"},
		{name: "authority that others can write", file: "ca.pub", mode: 0o664, want: "8: qzmq.authorities[0]: " + in("ca.pub") + " has mode 0664, which lets others than its owner decide who is trusted; it must be 0644 or less"},
		{name: "authority twice", file: "other.pub", content: text(ca.Authority().MarshalFile()), want: "8: qzmq.authorities[1]: " + in("other.pub") + " is the authority of qzmq.authorities[0] again"},
		{name: "classical authority", file: "other.pub", content: text(classical.Authority().MarshalFile()), want: "8: qzmq.authorities: config: handshake: an algorithm is not admitted by the mode: authority of ed25519 in mode hybrid"},
		{name: "keys that others can write", file: "keys", mode: 0o602, want: "9: qzmq.authorised_keys: " + in("keys") + " has mode 0602"},
		{name: "bad line", file: "keys", content: peerText(5) + "\n\nqz1nonsense x\n", want: "9: qzmq.authorised_keys: " + in("keys") + ": line 3: not a fingerprint, or one with a mistyped character"},
		{name: "name that nobody bears", edit: [2]string{"  authorities: [DIR/ca.pub, DIR/other.pub]\n", ""},
			want: `10: links[0].peer_name: "site-b" has no key in ` + in("keys") + ", and there are no authorities"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.file != "" {
				before, err := os.ReadFile(in(tc.file))
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := errors.Join(os.WriteFile(in(tc.file), before, 0o644), os.Chmod(in(tc.file), 0o644)); err != nil {
						t.Error(err)
					}
				}()
				switch {
				case tc.content == "-":
					err = os.Remove(in(tc.file))
				case tc.content != "":
					err = os.WriteFile(in(tc.file), []byte(tc.content), 0o644)
				case tc.mode != 0:
					err = os.Chmod(in(tc.file), tc.mode)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			config := authFile
			if tc.edit[0] != "" {
				config = strings.Replace(config, tc.edit[0], tc.edit[1], 1)
			}
			c := authConfig(t, dir, config)
			a, err := c.readAuthority(id, authNow().Add(tc.after))
			if err == nil {
				err = c.unborne(a)
			}
			if tc.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "a.yaml:"+tc.want) {
				t.Errorf("got  %v\nwant a.yaml:%s", err, tc.want)
			}
			var one *ConfigError
			if !errors.As(err, &one) {
				t.Errorf("%v is no ConfigError", err)
			}
		})
	}
}

func TestAuthorisedKeys(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"one", peerText(1), ""},
		{"named", peerText(1) + " site-b\n", ""},
		{"comments", "# who\n\n#\n" + peerText(1) + " a\n" + peerText(2) + " a\n", ""},
		{"empty", "", "there are no keys in it"},
		{"only comments", "# nobody yet\n", "there are no keys in it"},
		{"twice", peerText(1) + " a\n" + peerText(2) + "\n" + peerText(1) + " b\n", "line 3: the key is on line 1 already"},
		{"no fingerprint", "site-b\n", "line 1: not a fingerprint, or one with a mistyped character: want the qz1... that qzmqctl fingerprint prints"},
		{"capitals", strings.ToUpper(peerText(1)), "line 1: not a fingerprint"},
		{"space before", " " + peerText(1), "line 1: not a fingerprint"},
		{"space behind", peerText(1) + " ", `line 1: "" is not a name`},
		{"two spaces", peerText(1) + "  a", `line 1: " a" is not a name`},
		{"tab", peerText(1) + "\ta", "line 1: not a fingerprint"},
		{"two names", peerText(1) + " a b", `line 1: "a b" is not a name`},
		{"capital in the name", peerText(1) + " Site", `line 1: "Site" is not a name`},
		{"CRLF", peerText(1) + " a\r\n", `line 1: "a\r" is not a name`},
		{"comment behind", peerText(1) + " # b", `line 1: "# b" is not a name`},
	} {
		_, err := parseAuthorisedKeys(tc.text)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(strings.Repeat("#\n", mostKeysFile/2+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAuthorisedKeys(path); err == nil || err.Error() != path+" is too long for a file of authorised keys" {
		t.Errorf("got %v", err)
	}
}

// FuzzAuthorisedKeys: whatever is taken holds every key once, under a name that is
// one or none.
func FuzzAuthorisedKeys(f *testing.F) {
	f.Add("# who\n\n" + peerText(1) + " a\n" + peerText(2) + "\n")
	f.Add(peerText(1) + " a\n" + peerText(1) + " b\n")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseAuthorisedKeys(text)
		if (len(keys) > 0) == (err != nil) {
			t.Fatalf("%d keys and %v", len(keys), err)
		}
		seen := map[handshake.Fingerprint]bool{}
		for _, k := range keys {
			if seen[k.fingerprint] || !strings.Contains(text, k.fingerprint.String()) {
				t.Fatalf("%q gives %v", text, keys)
			}
			seen[k.fingerprint] = true
			if _, err := parseName(k.name); k.name != "" && err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAuthorityFilesSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.key")
	made, err := CreateAuthority(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ReadAuthorityKey(path)
	if err != nil || key.Authority().Fingerprint() != made.Fingerprint() {
		t.Errorf("%v, %v", key, err)
	}
	public, err := ReadAuthority(path + ".pub")
	if err != nil || public.Fingerprint() != made.Fingerprint() {
		t.Errorf("%v, %v", public, err)
	}
	for p, mode := range map[string]fs.FileMode{path: 0o600, path + ".pub": 0o644} {
		if info, err := os.Stat(p); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, %v", p, info.Mode(), err)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAuthorityKey(path); err == nil || !strings.Contains(err.Error(), "has mode 0640") {
		t.Errorf("an open key: %v", err)
	}
}
