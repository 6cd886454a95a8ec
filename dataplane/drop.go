package dataplane

// Drop is why a packet died. The packet path returns it instead of an error
// and never logs it; each has a counter per queue.
type Drop uint8

// The reasons, in the order in which a packet meets them. noDrop is the reason
// of a packet that lives.
const (
	noDrop Drop = iota

	// Outbound, inside to outside.
	DropNotIP        // an inside frame that is neither IPv4 nor IPv6
	DropMalformed    // an IP header that contradicts itself or the frame
	DropNoRoute      // no link's route holds the destination
	DropNoSession    // the link has no keys: fail closed
	DropTTLExpired   // TTL or hop limit used up
	DropTooBig       // larger than the link's MTU, and the sender was told so
	DropNoNextHop    // the peer's link-layer address is not known yet
	DropKeyExhausted // the key is at its limit
	DropOutsideFull  // the outside port had no room
	DropScratchFull  // too many packets of one batch had to be fragmented or answered
	DropBelowMinimum // the link's MTU cannot carry a single fragment

	// Inbound, outside to inside.
	DropNotRecord      // an outside frame that is not a record in UDP
	DropUnknownSession // no such session
	DropUnknownStream  // no such stream in the session
	DropStreamBusy     // another worker is opening this stream right now
	DropWrongEpoch     // sealed under a key that is not held
	DropReplayed       // seen before, or older than the window
	DropForged         // the tag is wrong
	DropOpenExhausted  // too many failed opens under this key
	DropBadPayload     // an authentic record that holds no whole IP packet
	DropBadSource      // the inner source does not belong to the link
	DropCongested      // congestion was marked on a packet that cannot carry the mark
	DropNeighbourQueue // waiting packets for unknown neighbours fill the queue
	DropNeighbour      // the neighbour did not answer in time
	DropInsideFull     // the inside port had no room

	dropCount
)

var dropNames = [dropCount]string{
	"none",
	"not_ip", "malformed", "no_route", "no_session", "ttl_expired", "too_big", "no_next_hop",
	"key_exhausted", "outside_full", "scratch_full", "below_minimum_mtu",
	"not_record", "unknown_session", "unknown_stream", "stream_busy", "wrong_epoch", "replayed",
	"forged", "open_exhausted", "bad_payload", "bad_source", "congested", "neighbour_queue_full",
	"neighbour_unreachable", "inside_full",
}

// String is the label of the reason in metrics.
func (d Drop) String() string { return dropNames[d] }

// Drops lists every reason.
func Drops() []Drop {
	all := make([]Drop, 0, dropCount-1)
	for d := noDrop + 1; d < dropCount; d++ {
		all = append(all, d)
	}
	return all
}
