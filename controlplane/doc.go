// Package controlplane decides who may talk, with which keys, and until when.
//
//	config.go      what the operator wrote, checked
//	gateway.go     the parts of a running gateway, started and stopped in order
//	interfaces.go  the two interfaces: steering programs, AF_XDP sockets, queues
//	inside.go      the inside one: by AF_XDP, or by packet sockets and super-frames
//	authority.go   which key is the peer of which link: pins, certificates, authorised keys
//	peering.go     control connections: dialling, listening, the handshake
//	callers.go     what callers may cost who have proved nothing yet
//	link.go        one peer: its channels, and which of them carries data
//	rotation.go    when its session is replaced
//	channel.go     one control connection: the link set-up, then liveness
//	relays.go      relays, who may use them, and what a reload makes of them
//	resolver.go    next hops from the kernel's routes and neighbours
//	guard.go       what keeps protected traffic in when the gateway is not running
//	reload.go      what peers a configuration has, and another one in its place
//	metrics.go     what an operator's monitoring reads
//	status.go      what an operator reads; admin.go and socket.go, where
//
// A control connection is QZMQ over TCP through the kernel. When its handshake
// is finished, both sides exchange an offer with a fresh nonce each, and the
// keys of the data streams follow from both (channel.go). Data goes on while
// the control connection is away; what ends it is its age.
package controlplane
