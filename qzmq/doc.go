// Package qzmq is ZeroMQ for Go with post-quantum security: the sockets and patterns
// of ZeroMQ, on connections whose two ends prove who they are and that a quantum
// computer cannot read.
//
//	opts := qzmq.DefaultOptions()
//	opts.Identity, _ = qzmq.LoadIdentity("client.key") // who we are
//	opts.Peer, _ = qzmq.ParseFingerprint("qz1...")     // who we expect
//	transport, err := qzmq.New(opts)
//	...
//	s, err := transport.NewSocket(qzmq.REQ)
//	s.Connect("tcp://192.0.2.1:5555")
//	s.Send([]byte("question"))
//	answer, err := s.Recv()
//
// The side that binds says who may in, by Options.Allow or Options.Authorize, and lets
// in nobody else. There is no fallback to anything weaker; plain ZMTP, for talking to
// libzmq, takes a Transport of its own that says InsecurePlaintext.
//
// # The way of a message
//
//	Send            socket.go      the pattern chooses a pipe: pipeline.go, router.go, publisher.go ...
//	pipe.out        queue.go       the message is copied into a chunk, behind others that wait
//	write           connection.go  all that waits is sealed together and written in one call
//	                               (package zmtp: records of up to 64 KiB)
//	read            connection.go  a record is opened, and all its messages are handed over at once
//	pipe.in         queue.go
//	Recv            socket.go      the pattern takes from its pipes in turn; parts are slices of the record
//
// Each connection has two goroutines and each socket one lock, which nobody holds while
// something is written, read, sealed or opened. A small message costs two copies, no
// allocation, and a look at its header.
//
// # What to expect
//
// Semantics are those of libzmq 4.3 and RFC 28 to 31, with these differences. A socket
// may be used by many goroutines. Close waits until what was sent is written, for
// TimeoutConfig.Linger. Limits for each peer are in bytes too: qzmq.sndbytes and
// qzmq.rcvbytes, as a rule 2 MiB, and 16 MiB for PUB, XPUB, XSUB, ROUTER and REP, which
// drop what there is no room for; and qzmq.subbytes for what it subscribes to. rcvhwm is overstepped
// by what stands in one record. Connections that are lost are called again ever more
// slowly, up to reconnect_ivl_max. There is no STREAM, which is raw TCP.
package qzmq
