package dataplane

// Port is one queue of a network interface, or what behaves like one. A port
// lends its memory: packets are read where they arrived and written where they
// will be sent from, and a packet that is dropped needs no code.
//
// A port belongs to one goroutine. Packets are whole frames, from the first MAC
// address to the end of the payload, without the frame check sequence.
type Port interface {
	// Recv gives the packets that have arrived, none if there are none. They
	// are lent until the next Recv and may be changed in place.
	Recv() [][]byte
	// Room gives room for one packet to send, or nil when the port is full.
	// Without a Commit in between, the next Room is the same room again.
	Room() []byte
	// Commit makes the first n bytes of the last Room a packet to send. The
	// bytes may still change until Flush.
	Commit(n int)
	// Flush hands what was committed to the kernel.
	Flush()
	Close() error
}
