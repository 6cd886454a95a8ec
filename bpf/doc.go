// Package bpf loads the programs that sort packets before the kernel's network
// stack sees them, and keeps their tables.
//
// steer_inside runs on the port of the protected hosts. It decides by
// destination, and by port where a link protects only some services, which
// packets go to the gateway's workers; the others stay with the kernel.
// steer_outside runs on the port towards the other gateways. It lets through
// to the workers only what looks like a record of a known session, and limits
// how often one source may open a control connection.
//
// Where a side is served by packet sockets, whose super-frames no XDP program may
// see, two programs decide in the place of steer_inside or steer_outside and as it
// does: admit_inside or admit_outside, a socket filter, lets what is ours into the
// sockets, and block_inside or block_outside, which the kernel runs after the
// sockets have their copy (TCX), drops the original.
//
// All fail closed: a protected packet whose queue nobody reads is dropped, so
// that it cannot leave in clear. Closing a program or losing the process
// detaches it, because it is attached by a kernel link that the process holds;
// from then on the kernel alone decides. What keeps protected traffic in then is
// the control plane's guard, which this package knows nothing of.
//
// Every way out of a program has a name, declared once, in the C source. The
// loader reads the names from the type information in the compiled object, so
// a new exit needs no line of Go to be counted and shown.
//
// A network card or a veth pair may carry a VLAN tag beside the packet instead
// of in it. The programs then see the packet untagged, and treat it the same.
//
// The programs read headers from the first buffer of a frame and accept frames
// in several buffers (xdp.frags), without which no driver would let them onto
// an interface with jumbo frames. Whether a socket takes such frames is the
// socket's affair; one that does not loses them, and counts them, in the kernel.
package bpf
