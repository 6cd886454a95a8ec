package handshake

import "github.com/qzmq/gateway/qzmq/record"

// What the initiator opens and seals: the flight of ServerHello, ClientKey and
// Finished.

// authenticate opens the responder's flight and checks who wrote it: who signed,
// or who has the PSK. It gives T4.
func (i *Initiator) authenticate(h *serverHello, t *transcript, t1 []byte, secrets *trafficSecrets) ([]byte, error) {
	plaintext, err := record.NewKeys(h.suite.AEAD, h.suite.Hash, secrets.responder).OpenOnce(t1, h.sealed)
	if err != nil {
		return nil, ErrOpen
	}
	if h.psk {
		return i.recognise(t, secrets, plaintext)
	}
	f, err := parseFlight(plaintext, h.suite.Hash)
	if err != nil {
		return nil, err
	}
	if err := f.extensions.only(); err != nil {
		return nil, err
	}
	peer, err := f.key()
	switch {
	case err != nil:
		return nil, err
	case peer == i.config.Identity.fingerprint:
		return nil, ErrSelf
	case f.alg != h.suite.Sig:
		return nil, ErrWrongPeer
	case !i.config.samePeer(peer):
		return nil, ErrIdentityChanged
	}
	certificate, err := i.config.admitResponder(peer, f.certificate)
	if err != nil {
		return nil, err
	}
	t4, err := verifyFlight(t, roleResponder, secrets, &f, nil)
	if err != nil {
		return nil, err
	}
	i.proved, i.certificate, i.inherits = peer, certificate, flight{alg: f.alg, certificate: f.certificate}
	return t4, nil
}

// recognise is authenticate when the session is resumed. The certificate of the
// session before is judged again.
func (i *Initiator) recognise(t *transcript, secrets *trafficSecrets, plaintext []byte) ([]byte, error) {
	ext, t4, err := verifyShortFlight(t, roleResponder, secrets, plaintext, nil)
	if err != nil {
		return nil, err
	}
	if err := ext.only(extEarlyData); err != nil {
		return nil, err
	}
	body, taken := ext.get(extEarlyData)
	if len(body) != 0 {
		return nil, ErrMalformed
	}
	if taken && i.early == nil {
		return nil, ErrUnsupportedExtension // it was not offered
	}
	i.earlyTaken = taken
	certificate, err := i.config.admitResponder(i.offered.peer, i.offered.certificate)
	if err != nil {
		return nil, err
	}
	i.proved, i.certificate = i.offered.peer, certificate
	i.inherits = flight{alg: i.offered.alg, certificate: i.offered.certificate}
	return t4, nil
}

// clientKey writes the ClientKey and gives T7.
func (i *Initiator) clientKey(h *serverHello, t *transcript, t4 []byte, secrets *trafficSecrets) (msg, t7 []byte, err error) {
	s := h.suite
	ext := extensions(nil).
		withOpaque(extMetadata, i.config.Metadata).
		withOpaque(extService, []byte(i.config.Service))
	n := flightLen(i.config.Identity, ext, s.Hash)
	if h.psk {
		n = shortFlightLen(ext, s.Hash)
	}
	header := appendHeader(make([]byte, 0, HeaderLen+n), typeClientKey, n)
	var plaintext []byte
	if h.psk {
		plaintext, t7 = writeShortFlight(t, roleInitiator, secrets, header, ext)
	} else if plaintext, t7, err = writeFlight(t, roleInitiator, secrets, i.config.Identity, header, ext, i.source.hedged); err != nil {
		return nil, nil, err
	}
	sealed := record.NewKeys(s.AEAD, s.Hash, secrets.initiator).SealOnce(t4, plaintext)
	return append(header, sealed...), t7, nil
}

// finished is step 4.
func (i *Initiator) finished(msg []byte) (*Session, error) {
	if p := peerAlert(msg); p != nil {
		return nil, p
	}
	t := kind(msg)
	if t != typeAlert {
		t = typeFinished
	}
	sealed, err := parseSealed(msg, t)
	if err != nil {
		return nil, err
	}
	plaintext, err := i.session.opener.Open(nil, sealed)
	if err != nil {
		return nil, ErrOpen
	}
	ext, err := parseLast(plaintext)
	if err != nil {
		return nil, err
	}
	if t == typeAlert {
		return nil, refusal(ext)
	}
	if err := ext.only(extMetadata, extTicket); err != nil {
		return nil, err
	}
	metadata, err := ext.opaque(extMetadata, MaxMetadata)
	if err != nil {
		return nil, err
	}
	done := i.session
	if err := i.accept(done, ext); err != nil {
		return nil, err
	}
	done.forgetResumption()
	done.peerMetadata = metadata
	i.session = nil
	return done, nil
}

// refusal reads the extensions of a sealed alert.
func refusal(ext extensions) error {
	if err := ext.only(extRefused); err != nil {
		return err
	}
	code, _ := ext.get(extRefused)
	if len(code) != 1 {
		return ErrMalformed
	}
	return &PeerAlert{Code: Alert(code[0]), Sealed: true}
}
