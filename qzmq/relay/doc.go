// Package relay protects unchanged ZeroMQ programs: it takes plain ZMTP connections
// and carries each over one of its own under QZMQ1, or the other way round.
//
//	program            relay                        relay             program
//	     plain ZMTP      |        QZMQ1 on TCP        |    plain ZMTP
//	READY(client)  ----->|                            |
//	                     | ClientHello -------------->|
//	                     |<-------------- ServerHello |
//	                     | ClientKey{client} -------->| who is it? may it in?
//	                     |                            |-----> READY(client, User-Id)
//	                     |                            |<----- READY(server)
//	                     |<--------- Finished{server} |
//	READY(server)  <-----|                            |
//	frames         <---->|<------- MESSAGE(record) -->|<----> frames
//
// One connection that is accepted is one that is made, so whatever the programs'
// sockets do with connections they do as if there was no relay: identities, round
// robin, subscriptions, heartbeats and back pressure are theirs, end to end. Of what
// they say the relay looks at two things. READY is where the peer that has proved
// its identity is named, and nobody else can have himself named there; and the kind
// of socket in it can be held to a policy.
//
//	endpoint.go  where a relay listens and where it connects
//	relay.go     a Relay: its listener, its connections, and who may use it
//	call.go      the way from a plain connection to a sealed one
//	answer.go    and from a sealed one to a plain one
//	ready.go     what READY says, and what it may not say
//	rules.go     what a peer may call itself and subscribe to
//	pair.go      two connections that have become one
//	stats.go     what is counted
//	said.go      what is logged, once
package relay
