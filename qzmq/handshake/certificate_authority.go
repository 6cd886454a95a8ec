package handshake

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"time"
)

// Authority is the public key of who issues certificates. Its binary form is
//
//	version 1 | algorithm 1, public key
//
// Whoever trusts it lets it name peers; it is no peer itself.
type Authority struct {
	alg         Signature
	public      []byte
	fingerprint Fingerprint
}

const authorityVersion = 1

// Fingerprint names the authority; certificates carry it as their issuer.
func (a *Authority) Fingerprint() Fingerprint { return a.fingerprint }

// Algorithm is what the authority signs with.
func (a *Authority) Algorithm() Signature { return a.alg }

// Marshal writes the public key.
func (a *Authority) Marshal() []byte {
	return append([]byte{authorityVersion, byte(a.alg)}, a.public...)
}

// ParseAuthority reads what Marshal wrote and nothing else. The only error is
// ErrAuthority.
func ParseAuthority(b []byte) (*Authority, error) {
	in := cursor{rest: b}
	v := in.u8()
	alg := Signature(in.u8())
	public := bytes.Clone(in.take(alg.publicLen()))
	if !in.done() || v != authorityVersion || !alg.Valid() {
		return nil, ErrAuthority
	}
	return &Authority{alg: alg, public: public, fingerprint: newFingerprint(alg, public)}, nil
}

// AuthorityKey is the secret of an authority. It is a type of its own, with a key
// file of its own, so that nobody runs a gateway with it. Whatever prints or
// encodes it gets "[secret]".
type AuthorityKey struct {
	hidden
	key *Identity
}

// GenerateAuthority makes a new authority of a registered algorithm. The modes
// hybrid and pq-only take no authority without ML-DSA: it could name anybody.
func GenerateAuthority(alg Signature) (*AuthorityKey, error) {
	key, err := GenerateIdentityFor(alg)
	if err != nil {
		return nil, err
	}
	return &AuthorityKey{key: key}, nil
}

// Authority is the public half.
func (k *AuthorityKey) Authority() *Authority {
	return &Authority{alg: k.key.alg, public: k.key.public, fingerprint: k.key.fingerprint}
}

// Grant is what an authority says of the key in a request.
type Grant struct {
	Name      string
	Roles     Roles
	Routes    []netip.Prefix // in any order; masked and sorted in the certificate
	NotBefore time.Time      // fractions of a second are cut off, in both
	NotAfter  time.Time
}

// Issue signs a certificate. Errors say what is wrong with the grant, or are
// ErrHalfKey when the request is for a key of the authority's own, or ErrRandom.
func (k *AuthorityKey) Issue(q *Request, g Grant) (*Certificate, error) {
	return k.issue(q, g, source{reader: rand.Reader, hedged: true})
}

func (k *AuthorityKey) issue(q *Request, g Grant, s source) (*Certificate, error) {
	serial, err := s.random(serialLen)
	if err != nil {
		return nil, err
	}
	for _, r := range g.Routes {
		if !r.IsValid() {
			return nil, errRoutes
		}
	}
	c := &Certificate{
		Serial: [serialLen]byte(serial), Name: g.Name, Roles: g.Roles, Routes: inOrder(g.Routes),
		NotBefore: g.NotBefore.UTC().Truncate(time.Second), NotAfter: g.NotAfter.UTC().Truncate(time.Second),
		Issuer: k.key.fingerprint,
		alg:    q.alg, public: q.public, issuerAlg: k.key.alg,
	}
	if err := c.sound(); err != nil {
		return nil, err
	}
	if shareHalf(c.alg, c.public, k.key.alg, k.key.public) {
		return nil, ErrHalfKey
	}
	c.signature, err = k.key.sign(signedUnder(labelCertificate, c.issuerAlg, c.digest()), s.hedged)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// shareHalf says whether two keys have a key in common, whole or as the half of a
// composite. A half that signs alone could take a composite's signatures apart.
func shareHalf(a Signature, aPublic []byte, b Signature, bPublic []byte) bool {
	aLattice, aCurve := a.split(aPublic)
	bLattice, bCurve := b.split(bPublic)
	return len(aLattice) > 0 && bytes.Equal(aLattice, bLattice) || len(aCurve) > 0 && bytes.Equal(aCurve, bCurve)
}

// split gives the halves of a public key of the right length, nil for what the
// algorithm does not have.
func (s Signature) split(public []byte) (lattice, curve []byte) {
	n := 0
	if scheme, _ := s.halves(); scheme != nil {
		n = scheme.PublicKeySize()
	}
	return public[:n], public[n:]
}
