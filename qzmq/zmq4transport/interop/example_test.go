package interop

import (
	"context"
	"fmt"
	"log"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/transport"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmq4transport"
)

// A program of zmq4 gets QZMQ: it registers a transport, and tcp:// becomes qzmq+tcp://.
// The server's key and the client's come from `qzmqctl keygen` as a rule, and are read
// with handshake.ParseKeyFile; each side knows the other's fingerprint.
func Example() {
	server, err := handshake.GenerateIdentity()
	if err != nil {
		log.Fatal(err)
	}
	client, err := handshake.GenerateIdentity()
	if err != nil {
		log.Fatal(err)
	}

	// The server's program.
	serves, err := zmq4transport.New[transport.Dialer](zmq4transport.Config{Handshake: handshake.Config{
		Identity:  server,
		Authorize: func(peer handshake.Fingerprint) bool { return peer == client.Fingerprint() },
	}})
	if err != nil {
		log.Fatal(err)
	}
	if err := zmq4.RegisterTransport("qzmq+tcp", serves); err != nil {
		log.Fatal(err)
	}
	rep := zmq4.NewRep(context.Background())
	defer rep.Close()
	if err := rep.Listen("qzmq+tcp://127.0.0.1:*"); err != nil {
		log.Fatal(err)
	}

	// The client's. Here it is the same process, so its transport has another name.
	calls, err := zmq4transport.New[transport.Dialer](zmq4transport.Config{Handshake: handshake.Config{
		Identity: client,
		Peer:     server.Fingerprint(),
	}})
	if err != nil {
		log.Fatal(err)
	}
	if err := zmq4.RegisterTransport("qzmq+tcp+client", calls); err != nil {
		log.Fatal(err)
	}
	req := zmq4.NewReq(context.Background())
	defer req.Close()
	if err := req.Dial("qzmq+tcp+client://" + rep.Addr().String()); err != nil {
		log.Fatal(err)
	}

	if err := req.Send(zmq4.NewMsgString("hello")); err != nil {
		log.Fatal(err)
	}
	m, err := rep.Recv()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", m.Frames[0])
	// Output: hello
}
