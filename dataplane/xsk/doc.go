// Package xsk moves packets between one queue of a network interface and our
// own memory through AF_XDP sockets.
//
// An AF_XDP socket is a block of memory that the kernel and we both see, cut
// into equal chunks (the UMEM), and four rings that say who owns which chunk:
//
//	            we write                     the kernel writes
//	receiving   fill: chunks to receive in   rx: packets that have arrived
//	sending     tx: packets to send          completion: chunks sent, ours again
//
// A packet therefore never passes through a system call. An XDP program that
// redirects to an XSKMAP holding the socket's descriptor (FD) decides which
// packets arrive; attaching that program is the work of another package.
//
// Half of the chunks belong to receiving and half to sending, and each half is
// exactly as long as a ring. So a ring we write can never be too short for the
// chunks we hold, and neither direction can starve the other.
//
// A frame that is longer than a chunk lies in several (multi-buffer). What
// arrives so is copied into one piece, because headers and the AEAD want it so;
// what is sent lies in adjacent chunks from the start and is not copied.
//
// System calls are left for three occasions. Sending in copy mode needs a kick
// (Flush), because there the kernel copies each packet into an skb inside our
// call. Having nothing to do needs a sleep (Wait). A driver that ran out of
// chunks asks for one call once there are some again (need_wakeup).
//
// Every use of package unsafe is in kernel.go, here as in package superframe.
package xsk
