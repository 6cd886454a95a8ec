package handshake

import "bytes"

// The ClientHello, first and after a Retry.

// fresh draws what is random in a ClientHello. A second one after a Retry has the
// same, so that the responder need not remember the first.
func (i *Initiator) fresh() (err error) {
	if i.random, err = i.source.random(randomLen); err != nil {
		return err
	}
	for _, k := range i.config.kems() {
		key, share, err := generateKEM(k, i.source.reader)
		if err != nil {
			return err
		}
		i.keys = append(i.keys, key)
		i.shares = append(append(i.shares, byte(k)), share...)
	}
	return nil
}

// clientHello writes i.hello, with the cookie of a Retry or nil.
func (i *Initiator) clientHello(cookie []byte) {
	h := clientHello{purpose: i.config.Purpose, random: i.random}
	for _, s := range i.config.Suites {
		h.suites = s.append(h.suites)
	}
	h.extensions = h.extensions.with(extKeyShare, i.shares).withOpaque(extCookie, cookie)
	// After a Retry there is none: the responder has dropped what followed.
	early := i.offered != nil && cookie == nil && !i.config.Early.empty()
	if early {
		h.extensions = h.extensions.with(extEarlyData, nil)
	}
	if i.config.Mode == ModePQOnly {
		h.extensions = h.extensions.with(extPQOnly, nil)
	}
	if i.offered != nil {
		h.withPSK(i.offered, i.prologue())
	}
	mac := i.silence.mac(h.unauthenticated())
	h.mac = mac[:]
	i.hello = h.marshal()
	if i.early = nil; early {
		i.sealEarly()
	}
}

// retry takes the one Retry there may be: the same ClientHello goes out again
// with the cookie, and only this one is in the transcript.
func (i *Initiator) retry(msg []byte) ([]byte, error) {
	if i.retried || i.config.Within != nil {
		return nil, ErrUnexpectedMessage
	}
	cookie, err := parseRetry(msg, &i.silence)
	if err != nil {
		return nil, err
	}
	i.retried = true
	i.clientHello(cookie)
	return bytes.Clone(i.hello), nil
}
