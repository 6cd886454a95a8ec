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
// keys, initiator.go and responder.go the order of checks, certificate.go how peers
// are known without being pinned. Section numbers in
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
// # What else there is
//
// A responder may answer the first ClientHello with a Retry, whose cookie the
// initiator adds to a second one (cookie.go, [Cookies]); it then does no public-key
// work for who does not receive at his address. A [Door] refuses strangers before
// there is a machine.
//
// Who has a ticket of an earlier session ([ClientTickets], [ServerTickets]) may
// resume: fresh KEM shares, but nobody signs (resumption.go). With the ClientHello
// may then come early data, of topics that both sides call safe (early.go):
//
//	ClientHello { ..., early_data, psk }, EarlyData  ->  binder right? delete the ticket
//
// A session is replaced by a whole handshake inside it (rehandshake.go).
package handshake
