package handshake

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
)

// The vectors of certificates: from fixed seeds, a fixed serial and deterministic
// signatures. What is written here has to be made again byte for byte, and is read
// by a reader that knows the layout and the primitives and none of our code.

const certificateVectorFile = "testdata/certificate.json"

type certificateVector struct {
	Algorithm     string   `json:"algorithm"` // of subject and issuer
	SubjectSeed   hexBytes `json:"subject_seed"`
	IssuerSeed    hexBytes `json:"issuer_seed"`
	Serial        hexBytes `json:"serial"`
	Name          string   `json:"name"`
	Roles         uint8    `json:"roles"`
	Routes        []string `json:"routes"`
	NotBefore     int64    `json:"not_before"`
	NotAfter      int64    `json:"not_after"`
	Authority     hexBytes `json:"authority"`
	Request       hexBytes `json:"request"`
	Certificate   hexBytes `json:"certificate"`
	CertificateAs string   `json:"certificate_file"`
}

func makeCertificateVectors(t *testing.T) (list []certificateVector) {
	for _, alg := range []Signature{MLDSA44, Ed25519MLDSA44} {
		v := certificateVector{
			Algorithm: alg.String(), Name: "site-b", Roles: uint8(LinkRoles | ZMTPInitiator),
			SubjectSeed: bytes.Repeat([]byte{0x21}, seedLen), IssuerSeed: bytes.Repeat([]byte{0x22}, seedLen),
			Routes:    []string{"10.2.0.0/24", "10.0.0.0/8", "fd00:2::/64", "0.0.0.0/0"},
			NotBefore: 1767225600, NotAfter: 1769817600,
		}
		id := testIdentity(t, alg, 0x21)
		q, err := newRequest(id, false)
		if err != nil {
			t.Fatal(err)
		}
		g := Grant{Name: v.Name, Roles: Roles(v.Roles), NotBefore: time.Unix(v.NotBefore, 0), NotAfter: time.Unix(v.NotAfter, 0)}
		for _, r := range v.Routes {
			g.Routes = append(g.Routes, netip.MustParsePrefix(r))
		}
		ca := testAuthority(t, alg, 0x22)
		c, err := ca.issue(q, g, source{reader: sameByte(0x23)})
		if err != nil {
			t.Fatal(err)
		}
		v.Serial, v.Authority, v.Request = c.Serial[:], ca.Authority().Marshal(), q.Marshal()
		v.Certificate, v.CertificateAs = c.Marshal(), string(c.MarshalFile())
		list = append(list, v)
	}
	return list
}

func TestCertificateVectors(t *testing.T) {
	made := makeCertificateVectors(t)
	if *update {
		b, err := json.MarshalIndent(made, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(certificateVectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(certificateVectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var list []certificateVector
	if err := json.Unmarshal(b, &list); err != nil || len(list) != 2 {
		t.Fatalf("%d vectors, %v", len(list), err)
	}
	for i, v := range list {
		if !reflect.DeepEqual(v, made[i]) {
			t.Errorf("%s: not made as the file has it", v.Algorithm)
		}
		v.read(t)
	}
}

// read is the independent reader.
func (v *certificateVector) read(t *testing.T) {
	t.Helper()
	code, keyLen, signatureLen := byte(2), 1312, 2420
	if v.Algorithm == "ed25519+mldsa44" {
		code, keyLen, signatureLen = 5, 1312+32, 2420+64
	}
	issuer := v.Authority[2:]
	if v.Authority[0] != 1 || v.Authority[1] != code || len(issuer) != keyLen {
		t.Fatalf("authority %x", v.Authority[:2])
	}
	cert := []byte(v.Certificate)
	next := func(n int) []byte {
		b := cert[:n]
		cert = cert[n:]
		return b
	}
	if version := next(1); version[0] != 1 {
		t.Errorf("version %d", version)
	}
	if serial := next(16); !bytes.Equal(serial, v.Serial) {
		t.Errorf("serial %x", serial)
	}
	if alg := next(1); alg[0] != code {
		t.Errorf("algorithm %d", alg)
	}
	if key := next(keyLen); !bytes.Equal(key, v.Request[2:2+keyLen]) {
		t.Error("the certificate's key is not that of the request")
	}
	if name := next(int(next(1)[0])); string(name) != v.Name {
		t.Errorf("name %q", name)
	}
	if roles := next(1); roles[0] != 0b1101 { // both sides of a link, initiator of ZMTP
		t.Errorf("roles %b", roles)
	}
	want := []byte{4, // routes, in the order of their bytes
		4, 0, 0, 0, 0, 0,
		4, 8, 10, 0, 0, 0,
		4, 24, 10, 2, 0, 0,
		6, 64, 0xfd, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if routes := next(len(want)); !bytes.Equal(routes, want) {
		t.Errorf("routes %x", routes)
	}
	if from, to := next(8), next(8); binary.BigEndian.Uint64(from) != uint64(v.NotBefore) || binary.BigEndian.Uint64(to) != uint64(v.NotAfter) {
		t.Errorf("from %x to %x", from, to)
	}
	if alg := next(1); alg[0] != code {
		t.Errorf("issuer's algorithm %d", alg)
	}
	if name := next(32); !bytes.Equal(name, hash256(v.Authority[1:])) {
		t.Errorf("issuer %x", name)
	}
	signed := v.Certificate[:len(v.Certificate)-len(cert)]
	if len(cert) != signatureLen || !independentVerify(t, issuer, "QZMQ1 certificate", code, signed, cert) {
		t.Error("the issuer's signature is wrong")
	}
	signed = v.Request[:2+keyLen]
	if !independentVerify(t, v.Request[2:2+keyLen], "QZMQ1 possession", code, signed, v.Request[2+keyLen:]) {
		t.Error("the request's signature is wrong")
	}
}

// independentVerify checks both halves, if there are two, over the same bytes.
func independentVerify(t *testing.T, public []byte, label string, code byte, message, signature []byte) bool {
	t.Helper()
	digest := sha256.Sum256(message)
	tbs := append(bytes.Repeat([]byte(" "), 64), label...)
	tbs = append(append(tbs, 0, code), digest[:]...)
	var key mldsa44.PublicKey
	if err := key.UnmarshalBinary(public[:1312]); err != nil {
		t.Fatal(err)
	}
	if !mldsa44.Verify(&key, tbs, []byte("QZMQ1"), signature[:2420]) {
		return false
	}
	return len(public) == 1312 || ed25519.Verify(public[1312:], tbs, signature[2420:])
}
