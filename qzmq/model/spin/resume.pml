/* Resumption: tickets of single use, early data, and the fall back to a full handshake.

   One responder whose connections run at the same time over one store of tickets; an initiator that has a
   ticket; an intruder who loses, repeats and keeps messages, opens connections with any hello he has seen,
   and makes hellos of his own that name a ticket he has seen but have a bad binder. What he cannot make is
   a good binder, and a ServerHello or Finished of the responder for a hello: those are known by the
   connection that made them.

   Early data is one flight. It reaches the application once, early or late, because the names of used tickets
   are remembered and a hello that offers one is refused.
   Bounds: TICKETS tickets of the initiator, each for one hello; CONNECTIONS at the responder. */
#define TICKETS 2
#define CONNECTIONS 3
#define PAIR(t, k) ((t) * CONNECTIONS + (k))

mtype = { NEW, WAITS_SERVERHELLO, WAITS_FINISHED, FAILED, DONE };
mtype = { LIVE, SPENT, NEVER };            /* a ticket at the responder; NEVER: it does not know it */
mtype = { LISTENS, FOUND, RESUMES, FULL }; /* a connection */

mtype ticket[TICKETS] = LIVE;
bool hello[TICKETS];                       /* with a good binder, and the early data behind it */
bool resumed[TICKETS * CONNECTIONS], whole[TICKETS * CONNECTIONS]; /* ServerHello: the PSK accepted or not */
bool clientKey[TICKETS * CONNECTIONS], finished[TICKETS * CONNECTIONS];
byte accepted[TICKETS];                    /* how often the PSK was accepted */
byte early[TICKETS], late[TICKETS];        /* how often the flight reached the application, and when */
bool resent[TICKETS * CONNECTIONS];        /* the same again, after Finished of this connection */
bool forgotten;

#define ANSWERED(t) (resumed[PAIR(t, 0)] || resumed[PAIR(t, 1)] || resumed[PAIR(t, 2)] || \
	whole[PAIR(t, 0)] || whole[PAIR(t, 1)] || whole[PAIR(t, 2)])

proctype Initiator(byte t) {
	mtype state = NEW;
	byte k;
	bool accepts;
end:	do
	:: atomic { state == NEW -> hello[t] = true; state = WAITS_SERVERHELLO }
	:: atomic { state == WAITS_SERVERHELLO && ANSWERED(t) ->
		if
		:: resumed[PAIR(t, 0)] -> k = 0; accepts = true
		:: resumed[PAIR(t, 1)] -> k = 1; accepts = true
		:: resumed[PAIR(t, 2)] -> k = 2; accepts = true
		:: whole[PAIR(t, 0)] -> k = 0; accepts = false
		:: whole[PAIR(t, 1)] -> k = 1; accepts = false
		:: whole[PAIR(t, 2)] -> k = 2; accepts = false
		fi;
		clientKey[PAIR(t, k)] = true;
		state = WAITS_FINISHED }
	:: atomic { state == WAITS_FINISHED && finished[PAIR(t, k)] ->
		if :: !accepts -> resent[PAIR(t, k)] = true :: else assert(early[t] == 1) fi;
		state = DONE; k = 0; accepts = false }
	:: atomic { state == WAITS_SERVERHELLO || state == WAITS_FINISHED -> state = FAILED; k = 0; accepts = false }
	od
}

inline once(t) {
	assert(early[t] + late[t] <= 1);
}

/* The PSK is accepted, and the early data with it. */
inline resume(t, k) {
	accepted[t]++;
	assert(accepted[t] == 1);
	resumed[PAIR(t, k)] = true;
	early[t]++;
	once(t);
	state = RESUMES
}

proctype Connection(byte k) {
	mtype state = LISTENS;
	byte t;
end:	do
	:: atomic { state == LISTENS && (hello[0] || hello[1]) -> /* a hello of the initiator, now or again */
		if :: hello[0] -> t = 0 :: hello[1] -> t = 1 fi;
		if
		:: ticket[t] == LIVE ->
#ifdef CHECK_THEN_DELETE      /* broken: between look-up and deletion another connection finds it too */
			state = FOUND
#else
			ticket[t] = SPENT;
			resume(t, k)
#endif
#ifdef FORGET_USED            /* broken: a used ticket is as unknown as any other */
		:: ticket[t] == SPENT -> whole[PAIR(t, k)] = true; state = FULL
#else
		:: ticket[t] == SPENT -> state = FAILED; t = 0
#endif
		:: ticket[t] == NEVER -> whole[PAIR(t, k)] = true; state = FULL
		fi }
	:: atomic { state == FOUND -> ticket[t] = SPENT; resume(t, k) }
	:: atomic { state == LISTENS && (hello[0] || hello[1]) -> /* a hello of the intruder: a good name, a bad binder */
		if :: hello[0] -> t = 0 :: hello[1] -> t = 1 fi;
#ifdef DELETE_FIRST           /* broken: the ticket is deleted before its binder is checked */
		if :: ticket[t] == LIVE -> ticket[t] = SPENT :: else fi;
#endif
		assert(ticket[t] != SPENT || accepted[t]); /* nobody burns the ticket of another */
		t = 0 }
	:: atomic { (state == RESUMES || state == FULL) && clientKey[PAIR(t, k)] ->
		finished[PAIR(t, k)] = true;
		if :: state == RESUMES -> t = 0 :: else fi;
		state = DONE }
	/* the flight comes again over an established session, which takes each record once */
	:: atomic { state == DONE && resent[PAIR(t, k)] -> resent[PAIR(t, k)] = false; late[t]++; once(t) }
	:: atomic { state == LISTENS || state == RESUMES || (state == FULL && !clientKey[PAIR(t, k)]) -> state = FAILED; t = 0 }
	od
}

/* Tickets fall out of the store unused (its bound, a lifetime); the names of used ones stay longer than
   an initiator waits for its answer. */
proctype Store() {
end:	atomic { !forgotten -> forgotten = true;
#ifdef RESTART                /* a responder that starts anew does not know which tickets were used */
		ticket[0] = NEVER
#else
		if :: ticket[0] == LIVE -> ticket[0] = NEVER :: else fi
#endif
		}
}

#ifdef REACH_FULL             /* a refused ticket, a full handshake, and the flight is there exactly once */
active proctype Judge() { end: atomic { ticket[0] == NEVER && !accepted[0] && late[0] == 1 -> assert(false) } }
#endif
#ifdef REACH_RESUMED
active proctype Judge() { end: atomic { early[0] == 1 && finished[PAIR(0, 1)] && early[1] == 1 && finished[PAIR(1, 2)] -> assert(false) } }
#endif

init { atomic { run Initiator(0); run Initiator(1); run Connection(0); run Connection(1); run Connection(2); run Store() } }
