package handshake

import (
	"bytes"

	"github.com/qzmq/gateway/qzmq/record"
)

// Steps 4 to 6 of the responder: who the initiator is, and whether it is let in.

// clientKey is step 4 to 6.
func (r *Responder) clientKey(msg []byte) ([]byte, *Session, *Error) {
	p := r.pending
	if alert := peerAlert(msg); alert != nil {
		return nil, nil, untold(alert)
	}
	leave, err := r.takeTurn(p.resumed != nil)
	if err != nil {
		return nil, nil, inClear(err)
	}
	defer leave()
	f, peer, t7, err := r.authenticate(msg, p)
	if err != nil {
		return nil, nil, inClear(err)
	}
	metadata, certificate, err := r.authorise(f, peer, p.purpose)
	session := newSession(roleResponder, p.suite, peer, p.schedule, t7)
	session.own, session.peerAlg = r.config.Identity.fingerprint, f.alg
	p.wipe()
	r.pending = nil
	if err != nil {
		defer session.Close()
		return nil, nil, refuse(session, err)
	}
	session.peerMetadata, session.peerCertificate = bytes.Clone(metadata), certificate
	switch {
	case p.resumed != nil:
		session.resumed, session.signed = true, p.resumed.signed
	case r.config.Clock != nil:
		session.signed = r.config.Clock()
	}
	if r.defers {
		r.caller = &Caller{Peer: peer, Certificate: certificate, Metadata: session.peerMetadata, session: session, flight: f}
		return nil, nil, nil
	}
	return r.finish(session, &f, r.config.Metadata)
}

// finish is step 6.
func (r *Responder) finish(session *Session, f *flight, metadata []byte) ([]byte, *Session, *Error) {
	ticket, err := r.issue(session, f)
	if err != nil {
		session.Close()
		return nil, nil, untold(err)
	}
	session.forgetResumption()
	reply, err := sealLast(session.sealer, typeFinished,
		extensions(nil).withOpaque(extMetadata, metadata).withOpaque(extTicket, ticket))
	if err != nil {
		session.Close()
		return nil, nil, untold(err)
	}
	return reply, session, nil
}

// authenticate is step 4. It gives the flight, who has proved to have written it,
// and T7.
func (r *Responder) authenticate(msg []byte, p *pending) (f flight, peer Fingerprint, t7 []byte, err error) {
	sealed, err := parseSealed(msg, typeClientKey)
	if err != nil {
		return f, peer, nil, err
	}
	plaintext, err := record.NewKeys(p.suite.AEAD, p.suite.Hash, p.secrets.initiator).OpenOnce(p.t4, sealed)
	if err != nil {
		return f, peer, nil, ErrOpen
	}
	if t := p.resumed; t != nil {
		// Who wrote it has the PSK of this identity; it is authorised again below.
		f = flight{alg: t.alg, certificate: t.certificate}
		f.extensions, t7, err = verifyShortFlight(p.transcript, roleInitiator, p.secrets, plaintext, msg[:HeaderLen])
		return f, t.peer, t7, err
	}
	if f, err = parseFlight(plaintext, p.suite.Hash); err != nil {
		return f, peer, nil, err
	}
	if peer, err = f.key(); err != nil {
		return f, peer, nil, err
	}
	t7, err = verifyFlight(p.transcript, roleInitiator, p.secrets, &f, msg[:HeaderLen])
	return f, peer, t7, err
}

// authorise is step 5: who it is, and only then what he wants. It gives his
// metadata, and his certificate if that was judged.
func (r *Responder) authorise(f flight, peer Fingerprint, purpose Purpose) ([]byte, *Certificate, error) {
	switch {
	case r.config.isOwn(peer):
		return nil, nil, ErrSelf
	case !r.config.samePeer(peer):
		return nil, nil, ErrIdentityChanged
	}
	certificate, err := r.config.admitInitiator(peer, f.certificate)
	switch {
	case err != nil:
		return nil, nil, err
	case !r.config.Mode.admitsKey(f.alg):
		return nil, nil, ErrInsufficientSecurity
	case purpose != r.config.Purpose:
		return nil, nil, ErrWrongPurpose
	}
	if err := f.extensions.only(extMetadata, extService); err != nil {
		return nil, nil, err
	}
	service, err := f.extensions.opaque(extService, MaxService)
	if err != nil {
		return nil, nil, err
	}
	if string(service) != r.config.Service {
		return nil, nil, ErrWrongService
	}
	metadata, err := f.extensions.opaque(extMetadata, MaxMetadata)
	return metadata, certificate, err
}

// refuse seals an alert in the place of Finished.
func refuse(s *Session, reason error) *Error {
	e := &Error{Reason: reason, Alert: alertOf(reason), Told: alertOf(reason)}
	msg, err := sealLast(s.sealer, typeAlert, extensions(nil).with(extRefused, []byte{byte(e.Told)}))
	if err != nil {
		return untold(reason)
	}
	e.sealed = msg
	return e
}
