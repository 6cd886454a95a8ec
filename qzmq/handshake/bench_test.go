package handshake

import (
	"crypto/ecdh"
	"crypto/rand"
	"testing"
	"time"

	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
)

// BenchmarkHandshake is both sides of a whole handshake, and in the same run the
// public-key primitives that it cannot do without. "x-primitives" is the ratio.
func BenchmarkHandshake(b *testing.B) {
	p := newPair(b)
	key := newPrimitives(b)
	b.ReportAllocs()
	var whole, bare time.Duration
	for b.Loop() {
		start := time.Now()
		p.finish()
		middle := time.Now()
		whole += middle.Sub(start)
		b.StopTimer()
		start = time.Now()
		key.run(b)
		bare += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(whole.Nanoseconds())/float64(b.N), "ns/handshake")
	b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "ns/primitives")
	b.ReportMetric(float64(whole)/float64(bare), "x-primitives")
}

// BenchmarkResumption is both sides of a resumed handshake.
func BenchmarkResumption(b *testing.B) {
	p := newPair(b)
	p.withTickets()
	p.finish()
	b.ReportAllocs()
	for b.Loop() {
		if p.finish(); !p.iDone.Resumed() {
			b.Fatal("not resumed")
		}
	}
}

// primitives are those of the default suite, called with circl and the standard
// library alone.
type primitives struct {
	public  []byte
	private *mldsa44.PrivateKey
	message []byte
}

func newPrimitives(b *testing.B) *primitives {
	public, private, err := mldsa44.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return &primitives{public.Bytes(), private, make([]byte, 113)}
}

// run is one KEM exchange, and a signature and its verification for each side.
func (p *primitives) run(b *testing.B) {
	ek, dk, err := mlkem768.GenerateKeyPair(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	var packed [mlkem768.PublicKeySize]byte
	ek.Pack(packed[:])
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	var peer mlkem768.PublicKey
	if err := peer.Unpack(packed[:]); err != nil {
		b.Fatal(err)
	}
	var ct [mlkem768.CiphertextSize]byte
	var ss [mlkem768.SharedKeySize]byte
	peer.EncapsulateTo(ct[:], ss[:], nil)
	y, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := y.ECDH(x.PublicKey()); err != nil {
		b.Fatal(err)
	}
	dk.DecapsulateTo(ss[:], ct[:])
	if _, err := x.ECDH(y.PublicKey()); err != nil {
		b.Fatal(err)
	}
	for range 2 {
		var signature [mldsa44.SignatureSize]byte
		if err := mldsa44.SignTo(p.private, p.message, []byte(signatureContext), true, signature[:]); err != nil {
			b.Fatal(err)
		}
		var pk mldsa44.PublicKey
		pk.Unpack((*[mldsa44.PublicKeySize]byte)(p.public))
		if !mldsa44.Verify(&pk, p.message, []byte(signatureContext), signature[:]) {
			b.Fatal("the signature does not verify")
		}
	}
}

// BenchmarkRefuse is what a stranger's ClientHello costs the responder: one made
// for another fingerprint. The machine itself is counted too.
func BenchmarkRefuse(b *testing.B) {
	p := newPair(b).start()
	msg := append([]byte(nil), p.hello...)
	msg[len(msg)-1] ^= 1
	b.ReportAllocs()
	for b.Loop() {
		reply, done, err := p.freshResponder().Handle(msg)
		if reply != nil || done != nil || err == nil {
			b.Fatal("it was answered")
		}
	}
}

// BenchmarkAdmit is what a stranger costs at the door, before there is a machine.
func BenchmarkAdmit(b *testing.B) {
	p := newPair(b)
	p.withCookies()
	first, _ := p.toRetry()
	wrong := append([]byte(nil), first...)
	wrong[len(wrong)-1] ^= 1
	one := p.door()
	for n := range maxNames - 1 {
		p.responderConf.MoreIdentities = append(p.responderConf.MoreIdentities, testIdentity(b, MLDSA44, byte(50+n)))
	}
	eight := p.door()
	for _, c := range []struct {
		name string
		door *Door
		msg  []byte
		want Verdict
	}{
		{"wrong MAC", one, wrong, Silent},
		{"wrong MAC, 8 names", eight, wrong, Silent},
		{"no cookie", one, first, AskRetry},
		{"cookie", one, p.hello, Admitted},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := c.door.Admit(c.msg, testAddr); v != c.want {
					b.Fatal(v)
				}
			}
		})
	}
}
