package qzmq

// The bits of the option events, ZMQ_POLLIN and ZMQ_POLLOUT.
const (
	PollIn  = 1 // Recv would not wait
	PollOut = 2 // Send would not wait
)

// events says what would not wait. The caller holds s.mu.
func (s *socket) events() int {
	s.collect()
	return s.pattern.poll()
}
