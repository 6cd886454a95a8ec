package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"iter"
	"math/big"
	"net"
	"time"
)

// tlsPair is what a Go program would use instead: TLS 1.3 with X25519MLKEM768 and
// a certificate on both sides. It is set up to cost as little as it can: each side
// pins the other's certificate, as our sides pin fingerprints, so that no chain is
// checked, and there are no session tickets.
type tlsPair struct {
	config [sides]*tls.Config
}

func newTLSPair() (*tlsPair, error) {
	p := &tlsPair{}
	var shown [sides]tls.Certificate
	for side := range shown {
		var err error
		if shown[side], err = selfSigned(); err != nil {
			return nil, err
		}
	}
	for side := range p.config {
		peer := shown[1-side].Certificate[0]
		p.config[side] = &tls.Config{
			Certificates:           shown[side : side+1],
			MinVersion:             tls.VersionTLS13,
			CurvePreferences:       []tls.CurveID{tls.X25519MLKEM768},
			ClientAuth:             tls.RequireAnyClientCert,
			InsecureSkipVerify:     true, // VerifyConnection does more
			SessionTicketsDisabled: true,
			VerifyConnection: func(c tls.ConnectionState) error {
				if !bytes.Equal(c.PeerCertificates[0].Raw, peer) || c.CurveID != tls.X25519MLKEM768 {
					return errors.New("not the pinned peer, or not the hybrid key agreement")
				}
				return nil
			},
		}
	}
	return p, nil
}

func selfSigned() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}, err
}

func (p *tlsPair) turn(w *stopwatch) error {
	_, err := p.handshake(w)
	return err
}

// handshake runs both sides on this thread, so that one clock divides the time
// and no scheduler takes part: the server is a coroutine, and whoever has nothing
// to read lets the other go on. It gives the bytes that both have written.
func (p *tlsPair) handshake(w *stopwatch) (wireLen int, err error) {
	var toServer, toClient bytes.Buffer
	var serverErr error
	resume, stop := iter.Pull(func(yield func(struct{}) bool) {
		c := &memoryConn{in: &toServer, out: &toClient, wait: func() bool {
			w.lap(responder)
			return yield(struct{}{})
		}}
		server := tls.Server(c, p.config[responder])
		serverErr = server.Handshake()
		wireLen += c.written
		w.lap(responder)
	})
	defer stop()
	c := &memoryConn{in: &toClient, out: &toServer, wait: func() bool {
		w.lap(initiator)
		_, more := resume()
		return more || toClient.Len() > 0
	}}
	w.start()
	client := tls.Client(c, p.config[initiator])
	if err := client.Handshake(); err != nil {
		stop()
		return 0, errors.Join(err, serverErr)
	}
	w.lap(initiator)
	if _, more := resume(); more {
		return 0, errors.New("the TLS server waits after the client has finished")
	}
	return wireLen + c.written, serverErr
}

// memoryConn is one end of a connection in memory. Reading from an empty one waits
// by a call of wait, which is false when nothing will come any more.
type memoryConn struct {
	net.Conn // nil: a handshake without deadlines calls nothing else
	in, out  *bytes.Buffer
	wait     func() bool
	written  int
}

func (c *memoryConn) Read(b []byte) (int, error) {
	for c.in.Len() == 0 {
		if !c.wait() {
			return 0, io.ErrUnexpectedEOF
		}
	}
	return c.in.Read(b)
}

func (c *memoryConn) Write(b []byte) (int, error) {
	c.written += len(b)
	return c.out.Write(b)
}
