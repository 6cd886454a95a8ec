/* The handshake's machines under an intruder who owns the network: every message once sent may be lost,
   repeated, reordered, sent to another machine, or kept for later; alerts and Retry, which need no secret
   of anybody, he makes himself. What he cannot make is what a signature or a MAC covers: so a message is
   known by who made it, the initiator h and the responder machine r, and "seen" is all he holds.

   Cookies are asked for or not, as the responder likes, at any moment. A machine may give up at any time.
   Bounds: HELLOS initiator machines (one host that tries again), MACHINES responder machines. */
#define HELLOS 2
#define MACHINES 3
#define PAIR(h, r) ((h) * MACHINES + (r))
#define NOBODY 15

mtype = { NEW, RETRIED, FAILED, WAITS_SERVERHELLO, WAITS_FINISHED, WAITS_CLIENTHELLO, WAITS_CLIENTKEY, UNDECIDED, DONE };

bool hello[HELLOS], helloWithCookie[HELLOS], retry[HELLOS];   /* retry: an authentic one, with a cookie for h */
bool serverHello[HELLOS * MACHINES], clientKey[HELLOS * MACHINES], finished[HELLOS * MACHINES];

/* How often a key was taken into use by each side. */
byte keyI[HELLOS * MACHINES], keyR[HELLOS * MACHINES];
byte hellosSent[HELLOS];
bool cookies;                 /* the responder asks for cookies now */

#define ANSWERED(h) (serverHello[PAIR(h, 0)] || serverHello[PAIR(h, 1)] || serverHello[PAIR(h, 2)])

proctype Initiator(byte h) {
	mtype state = NEW;
	byte r;
end:	do
	:: atomic { state == NEW -> hello[h] = true; hellosSent[h]++; state = WAITS_SERVERHELLO }
	/* Retry, authentic or forged: the same hello again, with a cookie; a forged cookie is not one. */
	:: atomic { state == WAITS_SERVERHELLO &&
#ifndef RETRY_AGAIN           /* broken: every Retry is followed */
		hellosSent[h] == 1 &&
#endif
		hellosSent[h] < 3 ->
		hellosSent[h]++;
		if :: retry[h] -> helloWithCookie[h] = true :: true fi;
		assert(hellosSent[h] <= 2) }
	:: atomic { state == WAITS_SERVERHELLO && ANSWERED(h) ->
		if
		:: serverHello[PAIR(h, 0)] -> r = 0
		:: serverHello[PAIR(h, 1)] -> r = 1
		:: serverHello[PAIR(h, 2)] -> r = 2
		fi;
		clientKey[PAIR(h, r)] = true;
		state = WAITS_FINISHED }
#ifdef SECOND_SERVERHELLO     /* broken: while Finished is awaited another ServerHello is welcome */
	:: atomic { state == WAITS_FINISHED && ANSWERED(h) ->
		if
		:: serverHello[PAIR(h, 0)] -> r = 0
		:: serverHello[PAIR(h, 1)] -> r = 1
		:: serverHello[PAIR(h, 2)] -> r = 2
		fi;
		clientKey[PAIR(h, r)] = true }
#endif
	:: atomic { state == WAITS_FINISHED && finished[PAIR(h, r)] ->
		keyI[PAIR(h, r)]++;
		assert(keyR[PAIR(h, r)] == 1);        /* the responder has accepted, with this very key */
#ifndef STAYS                 /* broken: a machine that is done goes on taking messages */
		state = DONE; r = 0
#endif
		;
		assert(keyI[PAIR(h, 0)] + keyI[PAIR(h, 1)] + keyI[PAIR(h, 2)] <= 1) }
	/* time, a wrong message, a forged alert in clear */
	:: atomic { state == WAITS_SERVERHELLO || state == WAITS_FINISHED -> state = FAILED; r = 0 }
	od
}

proctype Responder(byte r) {
	mtype state = WAITS_CLIENTHELLO;
	byte h = NOBODY;
	bool paid;
end:	do
	:: atomic { state == WAITS_CLIENTHELLO && (hello[0] || hello[1]) ->
		if
		:: hello[0] -> h = 0; paid = false
		:: hello[1] -> h = 1; paid = false
		:: helloWithCookie[0] -> h = 0; paid = true
		:: helloWithCookie[1] -> h = 1; paid = true
		fi;
		if
#ifdef WORK_FIRST             /* broken: the cookie is checked after the public-key work */
		:: cookies && !paid -> assert(paid)
#else
		:: cookies && !paid -> retry[h] = true; h = NOBODY   /* stateless: it waits for another hello */
#endif
		:: else ->
			serverHello[PAIR(h, r)] = true;
			state = WAITS_CLIENTKEY;
#ifdef KEY_AT_SERVERHELLO     /* broken: the key is used before ClientKey has come */
			keyR[PAIR(h, r)]++; finished[PAIR(h, r)] = true;
			assert(clientKey[PAIR(h, r)])
#endif
		fi;
		paid = false }
	/* The last word may be reserved for the responder's own side, which takes its time and may say no. */
	:: atomic { state == WAITS_CLIENTKEY && clientKey[PAIR(h, r)] ->
#ifdef BEFORE_THE_LAST_WORD   /* broken: Finished does not wait for it */
		finished[PAIR(h, r)] = true;
#endif
		state = UNDECIDED }
	:: atomic { (state == WAITS_CLIENTKEY || state == UNDECIDED) && clientKey[PAIR(h, r)] ->
		keyR[PAIR(h, r)]++;
		assert(keyR[PAIR(h, 0)] + keyR[PAIR(h, 1)] + keyR[PAIR(h, 2)] == 1); /* no key twice, no hello for two */
		finished[PAIR(h, r)] = true;
#ifdef STAYS
		skip
#else
		state = DONE; h = NOBODY
#endif
		}
	:: atomic { state == WAITS_CLIENTHELLO || state == WAITS_CLIENTKEY || state == UNDECIDED -> state = FAILED; h = NOBODY }
	od
}

active proctype Listener() {
end:	do
	:: atomic { !cookies -> cookies = true }
	:: atomic { cookies -> cookies = false }
	od
}

#ifdef REACH                  /* after a Retry both machines of one handshake are done */
active proctype Judge() {
end:	atomic { helloWithCookie[1] && !hello[0] && keyI[PAIR(1, 2)] && keyR[PAIR(1, 2)] -> assert(false) }
}
#endif

init { atomic { run Initiator(0); run Initiator(1); run Responder(0); run Responder(1); run Responder(2) } }
