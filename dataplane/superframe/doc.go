// Package superframe moves packets between a network interface and our own memory
// through packet sockets that speak super-frames.
//
// A host that sends a stream makes frames of up to 64 KiB and leaves it to its
// network card to cut them into segments of the MTU and to sum these. On a
// virtual interface there is no card: frame after frame passes whole, its
// checksum not computed, to whoever is at the other end. For a receiver in the
// same machine that is right, and it saves nearly all of the work per packet.
//
// A gateway whose hosts are at such an interface can have the same. A packet
// socket (AF_PACKET) with PACKET_VNET_HDR gives and takes frames with a short
// header in front, virtio-net's, that says what the bytes do not: how long the
// segments are to be, and where a checksum is still to be computed. So this
// package does in memory what a network card does in silicon:
//
//	receiving   a super-frame of the kernel  -> cut, summed       -> packets
//	sending     packets                      -> verified, merged  -> a super-frame
//
// Its user sees neither. What Recv lends are whole frames of at most the MTU with
// complete checksums; what is committed are such frames.
//
// # Checksums
//
// A sum that a host left open is computed here, over the bytes as the kernel
// handed them over. A sum that a host has computed is left alone, right or wrong.
// On the way back packets are merged only when the sum of each was computed again
// and found right, because the receiver of a super-frame looks at no sum: the
// mark that says so must never bless a packet that arrived damaged.
//
// Towards other gateways neither is needed: what crosses there is sealed, and its
// tag proves more than a checksum. A socket for such packets (Config.Sealed) looks
// at no sum that has arrived and computes none; what leaves has its sum begun, and
// whoever cuts it, a network card or the kernel, completes it in each datagram.
//
// # What merges
//
// Segments of one TCP flow that come one behind the other and differ in nothing
// that would not come out the same were the super-frame cut again. Those are the
// rules of the kernel's own GRO. Datagrams of UDP that have one size travel in one
// piece as well, but for the last, which may be shorter; so the records of a bulk
// transfer do. Everything else goes as it is, and no packet of a flow overtakes
// another.
//
// # Fail closed
//
// A packet socket gets a copy of what arrives; the kernel goes on with the
// original. That a protected packet is not also forwarded in clear, and that nobody
// is told that our UDP port is closed, is the work of another package's program on the same interface; which packets get into the
// socket, that of a filter that decides the same.
package superframe
