// Package dataplane carries packets: it seals what arrives inside and opens
// what arrives outside.
//
//	inside port -> route -> path of the link -> seal -> outside port   (outbound.go)
//	outside port -> session -> stream -> open -> next hop -> inside port (inbound.go)
//
// A [Worker] serves one queue: one inside port, one outside port, one stream of
// its own towards every link. Workers share nothing that is written per packet;
// what the control plane changes reaches them through atomic pointers to
// immutable values. Packets move between the ports' own memory, and the AEAD is
// the only copy.
//
// The package holds no policy, opens no socket and sees no key: sealers and
// openers come ready from package record. Every packet that dies has a [Drop]
// and a counter per queue.
package dataplane
