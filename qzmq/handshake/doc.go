// Package handshake is the handshake of QZMQ version 1: two gateways prove their
// long-term identities to each other and agree on keys that neither a quantum
// computer nor a thief of an identity's key can recover later.
//
// It is TLS 1.3 in shape (SIGMA-I, both sides signed). The initiator owns the KEM
// key, the responder encapsulates to it:
//
//	initiator                                          responder
//	greeting, ClientHello  ------------------------->  MAC right? else silence
//	                       <-------------------------  ServerHello { identity, signature, finished }
//	ClientKey { metadata, service,
//	  identity, signature, finished }  ------------->  verify, authorise, then commit
//	                       <-------------------------  Finished { metadata }
//
// What stands in braces is sealed. The package does no I/O: [Initiator] and
// [Responder] take the bytes of one message and give the bytes of the next, and
// at the end a [Session], which hands out sealers and openers, each once. It has
// no goroutine and no clock; deadlines, rate limits and framing are the caller's.
//
// Files follow the protocol: codepoints.go has every number and label, messages.go
// and flight.go the layouts, transcript.go the hash points T1..T7, schedule.go the
// keys, initiator.go and responder.go the order of checks. Section numbers in
// comments are those of the protocol design.
//
// # Error contract
//
// An error from Handle ends the machine: it keeps nothing secret and returns the
// same error for ever. The reply that comes with an error is the alert to send
// before closing, and nothing else may be sent; it is nil when the peer is to be
// told nothing. errors.Is(err, [ErrSilent]) says that the peer has not shown that
// it knows whom it called, so not even a closing byte is owed to it.
//
// # What is not built yet
//
// Cookies and Retry, resumption, early data, certificates and the in-band
// handshake of a rotation. Their code points are reserved, and an extension that
// asks for one is refused.
package handshake
