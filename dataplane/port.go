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
	// Room gives room for one more packet to send, or nil when the port is
	// full. Every call gives another room; all are lent until Flush.
	Room() []byte
	// Commit makes frame, a part of a room given since the last Flush, a packet
	// to send. Its bytes may still change until Flush. A room is committed once
	// at most.
	Commit(frame []byte)
	// Flush hands what was committed to the kernel, in the order of the
	// Commits. Rooms that were not committed are the port's again.
	Flush()
	Close() error
}
