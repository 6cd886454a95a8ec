// Package zmtp is a ZMTP 3.1 engine (RFC 37): greeting, framing and commands,
// and on a stream the mechanisms QZMQ1 and NULL.
//
// The grammar is bytes in, bytes out: [Greeting], [ParseHeader],
// [ParseCommand], [ParseMetadata]. A [Conn] is the grammar on a net.Conn under
// QZMQ1, with the handshake of package handshake and the records of package
// record; a [Null] is the grammar alone. For a relay between the two a [Room] is
// read into from the one and sealed where it stands for the other, and a [Run] is
// written to the one from where it was opened for the other.
//
// This is the wire under QZMQ1, each line one write:
//
//	initiator                                            responder
//	greeting, HANDSHAKE(ClientHello)  ----------------->  silent until its MAC is right
//	                  [<-----------------  greeting, HANDSHAKE(Retry)]
//	[HANDSHAKE(ClientHello)           ----------------->]
//	                   <-----------------  greeting, HANDSHAKE(ServerHello)
//	HANDSHAKE(ClientKey)              ----------------->
//	                   <-----------------  HANDSHAKE(Finished)
//	MESSAGE(record) ...               <---------------->  MESSAGE(record) ...
//
// HANDSHAKE and MESSAGE are ZMTP commands. The plaintext of a record is one or
// more ZMTP frames, so that their flags are sealed as well; frames that wait at
// the same time share a record, a large one is cut into pieces, and zeros can hide
// its size. piece.go has the layout. These commands, in records, are the
// session's own:
//
//	ALERT(code)         the session ends            CloseWith
//	KEYUPDATE           next key of this direction  keyupdate.go
//	HANDSHAKE(message)  a new session replaces it   rotate.go
//	SWITCH              last under its keys         rotate.go
//	RENEW               please begin that           rotate.go
//
// A session ends with ALERT; a connection that ends otherwise was cut, by an
// accident or by somebody on the path.
//
// The initiator does not wait for the responder's greeting, and a responder
// gives none to who does not know it: a scanner gets no byte. There is one
// mechanism for a connection and no falling back; null.go has the wire of NULL.
package zmtp

import (
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// Mechanism is the name of the security mechanism in the greeting. A later
// version of the protocol would be another mechanism, not a negotiation.
const Mechanism = "QZMQ1"

// Names of commands. MESSAGE and HANDSHAKE are frames on the wire; all but MESSAGE
// are in records, HANDSHAKE there to replace the session.
const (
	handshakeName = "HANDSHAKE"
	recordName    = "MESSAGE"
	alertName     = "ALERT"
	updateName    = "KEYUPDATE"
	switchName    = "SWITCH"
	renewName     = "RENEW"
)

// isReserved says whether a command belongs to the session itself.
func isReserved(name string) bool {
	switch name {
	case handshakeName, alertName, updateName, switchName, renewName:
		return true
	}
	return false
}

// MaxRecord is the largest plaintext of a record in bytes: a command with its
// frame header and its name has to fit.
const MaxRecord = 64 << 10

// maxRecordBody is the largest body of a MESSAGE frame.
const maxRecordBody = 1 + len(recordName) + MaxRecord + record.TagLen

const (
	// stageTimeout is for one flight of the handshake to arrive, however slowly
	// its bytes trickle in, and for the answer to be taken.
	stageTimeout = 10 * time.Second

	// closeTimeout is for the last alert to be taken, and again for the peer to
	// close in answer.
	closeTimeout = time.Second
)
