package qzmq_test

import (
	"context"
	"fmt"
	"log"

	"github.com/qzmq/gateway/qzmq"
)

// twoPrograms gives the transports of a server and of a client that may talk to it, as
// two programs have them that were told each other's fingerprints.
func twoPrograms() (server, client qzmq.Transport) {
	serverID, err := qzmq.GenerateIdentity() // once, kept by SaveIdentity
	fatal(err)
	clientID, err := qzmq.GenerateIdentity()
	fatal(err)

	opts := qzmq.DefaultOptions()
	opts.Identity = serverID
	opts.Allow = []qzmq.Fingerprint{clientID.Fingerprint()}
	server, err = qzmq.New(opts)
	fatal(err)

	opts = qzmq.DefaultOptions()
	opts.Identity = clientID
	opts.Peer = serverID.Fingerprint()
	client, err = qzmq.New(opts)
	fatal(err)
	return server, client
}

// bound makes a socket at a port that the kernel chooses, and says which endpoint that is.
func bound(t qzmq.Transport, kind qzmq.SocketType) (s qzmq.Socket, endpoint string) {
	s, err := t.NewSocket(kind)
	fatal(err)
	fatal(s.Bind("tcp://127.0.0.1:*"))
	last, err := s.GetOption("last_endpoint")
	fatal(err)
	return s, last.(string)
}

func connected(t qzmq.Transport, kind qzmq.SocketType, endpoint string) qzmq.Socket {
	s, err := t.NewSocket(kind)
	fatal(err)
	fatal(s.Connect(endpoint))
	return s
}

func fatal(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// REQ asks and REP answers, in turn.
func Example() {
	server, client := twoPrograms()
	defer server.Close()
	defer client.Close()
	rep, endpoint := bound(server, qzmq.REP)
	req := connected(client, qzmq.REQ, endpoint)

	fatal(req.Send([]byte("what is it?")))
	question, err := rep.Recv()
	fatal(err)
	fatal(rep.Send([]byte("a lattice")))
	answer, err := req.Recv()
	fatal(err)
	fmt.Printf("%s %s\n", question, answer)

	sealed, err := req.GetOption("qzmq.encrypted")
	fatal(err)
	fmt.Println("encrypted:", sealed)
	// Output:
	// what is it? a lattice
	// encrypted: true
}

// PUSH gives work to the PULL sockets in turn.
func Example_pipeline() {
	server, client := twoPrograms()
	defer server.Close()
	defer client.Close()
	source, endpoint := bound(server, qzmq.PUSH)
	worker := connected(client, qzmq.PULL, endpoint)

	for _, job := range []string{"first", "second", "third"} {
		fatal(source.Send([]byte(job)))
	}
	jobs := 0
	for m, err := range worker.Messages(context.Background()) {
		fatal(err)
		fmt.Printf("%s\n", m.Parts[0])
		if jobs++; jobs == 3 {
			break
		}
	}
	// Output:
	// first
	// second
	// third
}

// SUB receives what begins with the topics that it has asked for. A PUB drops what nobody
// has asked for yet; an XPUB, as here, is a PUB that hears who subscribes.
func Example_publishSubscribe() {
	server, client := twoPrograms()
	defer server.Close()
	defer client.Close()
	publisher, endpoint := bound(server, qzmq.XPUB)
	subscriber := connected(client, qzmq.SUB, endpoint)

	fatal(subscriber.Subscribe("weather"))
	subscription, err := publisher.Recv() // 1 and the topic, or 0 when it is over
	fatal(err)
	fmt.Printf("%d %s\n", subscription[0], subscription[1:])
	fatal(publisher.Send([]byte("sports: nobody asks")))
	fatal(publisher.Send([]byte("weather: rain")))
	m, err := subscriber.Recv()
	fatal(err)
	fmt.Printf("%s\n", m)
	// Output:
	// 1 weather
	// weather: rain
}

// ROUTER knows each DEALER by its routing id, the first part of every message, and by the
// key that it has proved, which it cannot choose.
func Example_router() {
	server, client := twoPrograms()
	defer server.Close()
	defer client.Close()
	router, endpoint := bound(server, qzmq.ROUTER)
	dealer, err := client.NewSocket(qzmq.DEALER)
	fatal(err)
	fatal(dealer.SetOption("routing_id", "anna"))
	fatal(dealer.Connect(endpoint))

	fatal(dealer.SendMultipart([][]byte{[]byte("order"), []byte("1,000 at 12.50")}))
	m, err := router.RecvMessage(context.Background())
	fatal(err)
	fmt.Printf("%s: %s %s, authenticated: %v\n", m.Parts[0], m.Parts[1], m.Parts[2], m.Peer.Authenticated())
	fatal(router.SendMultipart([][]byte{m.Parts[0], []byte("done")}))
	answer, err := dealer.Recv()
	fatal(err)
	fmt.Printf("%s\n", answer)
	// Output:
	// anna: order 1,000 at 12.50, authenticated: true
	// done
}

// PAIR is a connection of two, each of which says what it likes.
func Example_pair() {
	server, client := twoPrograms()
	defer server.Close()
	defer client.Close()
	one, endpoint := bound(server, qzmq.PAIR)
	other := connected(client, qzmq.PAIR, endpoint)

	fatal(other.Send([]byte("ready")))
	m, err := one.Recv()
	fatal(err)
	fmt.Printf("%s\n", m)
	// Output: ready
}

// Keys can be changed at any time, without losing a message.
func ExampleSocket_rotate() {
	server, client := twoPrograms()
	defer server.Close()
	defer client.Close()
	one, endpoint := bound(server, qzmq.PAIR)
	other := connected(client, qzmq.PAIR, endpoint)
	fatal(other.Send([]byte("before")))
	_, err := one.Recv()
	fatal(err)

	fatal(other.Rotate(context.Background()))
	fmt.Println("key rotations:", client.Stats().KeyRotations)
	// Output: key rotations: 1
}

// Whoever is refused, and why, is seen by those who watch.
func ExampleSocket_monitor() {
	server, _ := twoPrograms()
	_, stranger := twoPrograms()
	defer server.Close()
	defer stranger.Close()
	rep, endpoint := bound(server, qzmq.REP)
	req, err := stranger.NewSocket(qzmq.REQ)
	fatal(err)
	events := req.Monitor()
	fatal(req.Connect(endpoint))
	for e := range events {
		if e.Kind == qzmq.EventHandshakeFailed {
			fmt.Println(e.Kind)
			break
		}
	}
	fmt.Println("let in:", rep.GetMetrics().MessagesReceived)
	// Output:
	// handshake failed
	// let in: 0
}
