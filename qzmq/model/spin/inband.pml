/* A new full handshake inside a session on one TCP connection (RENEW, ClientHello .. Finished, SWITCH)
   while data flows both ways and each direction's ratchet may move on (UPDATE).

   TCP keeps order, and who changes a byte ends the connection; so there is no intruder in here. What is
   checked is that both ends change keys at the same place of each direction: a record is its kind and
   the key that sealed it, and one that meets another key ends the session, which is the assertion.

   Bounds: ROTATIONS handshakes begun, any of which may fail at any message; at most one UPDATE per direction and
   session; ROOM records on their way in each direction; data without bound. */
#define ROTATIONS 3
#define ROOM 3

mtype = { DATA, UPDATE, RENEW, HELLO, SERVERHELLO, CLIENTKEY, FINISHED, SWITCH, ALERT };

chan toR = [ROOM] of { mtype, byte, bool };  /* kind, session of the key, epoch */
chan toI = [ROOM] of { mtype, byte, bool };

byte begun;
byte sealI, openI, sealR, openR;             /* session whose keys seal and open, at each end */
bool epSealI, epOpenI, epSealR, epOpenR;
mtype waitsI = 0, waitsR = 0;                /* the message of the handshake under way that is to come */
bool dataI, dataR;                           /* data went under the newest keys: for REACH */

inline check(session, ep, open, epOpen) { assert(session == open && ep == epOpen) }

active proctype Initiator() {
	byte s; bool e;
	do
	:: atomic { toR!DATA(sealI, epSealI) }
	:: atomic { !epSealI && nfull(toR) -> toR!UPDATE(sealI, epSealI); epSealI = true }
	:: atomic { !waitsI && begun < ROTATIONS && nfull(toR) ->
		begun++;
		toR!HELLO(sealI, epSealI);
		waitsI = SERVERHELLO }
	/* FINISHED: SWITCH is the last record under the old keys. */
	:: atomic { nfull(toR) && waitsI == SWITCH ->
		toR!SWITCH(sealI, epSealI);
		sealI++; epSealI = false;
		waitsI = 0 }
	:: atomic { toI?DATA(s, e) -> check(s, e, openI, epOpenI); dataI = openI == ROTATIONS }
	:: atomic { toI?UPDATE(s, e) -> check(s, e, openI, epOpenI); epOpenI = true }
	:: atomic { toI?RENEW(s, e) -> check(s, e, openI, epOpenI) }  /* a wish: begins when it suits */
	:: atomic { waitsI == SERVERHELLO && nfull(toR) && toI?[SERVERHELLO] -> toI?SERVERHELLO(s, e);
		check(s, e, openI, epOpenI);
		if
		:: toR!CLIENTKEY(sealI, epSealI); waitsI = FINISHED;
#ifdef SWITCH_AT_CLIENTKEY      /* broken: the initiator seals under keys that may never be accepted */
			sealI++; epSealI = false
#endif
		:: toR!ALERT(sealI, epSealI); waitsI = 0                  /* another identity, a bad signature */
		fi }
	:: atomic { waitsI == FINISHED && toI?[FINISHED] -> toI?FINISHED(s, e);
		check(s, e, openI, epOpenI);
		openI++; epOpenI = false;
#ifdef SWITCH_AT_CLIENTKEY
		waitsI = 0
#else
#ifdef NO_SWITCH                /* broken: nothing tells the responder where the new keys begin */
		sealI++; epSealI = false; waitsI = 0
#else
		waitsI = SWITCH
#endif
#endif
		}
	:: atomic { toI?ALERT(s, e) -> check(s, e, openI, epOpenI); waitsI = 0 }
	od
}

active proctype Responder() {
	byte s; bool e;
	do
	:: atomic { toI!DATA(sealR, epSealR) }
	:: atomic { !epSealR && nfull(toI) -> toI!UPDATE(sealR, epSealR); epSealR = true }
	:: atomic { !waitsR && begun < ROTATIONS && nfull(toI) -> toI!RENEW(sealR, epSealR) }
	:: atomic { toR?DATA(s, e) -> check(s, e, openR, epOpenR); dataR = openR == ROTATIONS }
	:: atomic { toR?UPDATE(s, e) -> check(s, e, openR, epOpenR); epOpenR = true }
	:: atomic { nfull(toI) && toR?[HELLO] -> toR?HELLO(s, e);
		check(s, e, openR, epOpenR);
		assert(!waitsR);
		if
		:: toI!SERVERHELLO(sealR, epSealR); waitsR = CLIENTKEY
		:: toI!ALERT(sealR, epSealR)
		fi }
	:: atomic { waitsR == CLIENTKEY && nfull(toI) && toR?[CLIENTKEY] -> toR?CLIENTKEY(s, e);
		check(s, e, openR, epOpenR);
		if
		:: toI!FINISHED(sealR, epSealR);
#ifndef OLD_AFTER_FINISHED      /* broken: the responder goes on with the old keys until SWITCH */
			sealR++; epSealR = false;
#endif
#ifdef NO_SWITCH
			openR++; epOpenR = false; waitsR = 0
#else
			waitsR = SWITCH
#endif
		:: toI!ALERT(sealR, epSealR); waitsR = 0
		fi }
	:: atomic { toR?SWITCH(s, e) -> check(s, e, openR, epOpenR);
		assert(waitsR == SWITCH);
		openR++; epOpenR = false;
#ifdef OLD_AFTER_FINISHED
		sealR++; epSealR = false;
#endif
		waitsR = 0 }
	:: atomic { toR?ALERT(s, e) -> check(s, e, openR, epOpenR); waitsR = 0 }
	od
}

/* The ends are never more than one session apart, the receiving key never ahead of the sealing one
   (REACH: all the rotations can succeed, with data under the last keys both ways). */
active proctype Judge() {
#ifdef REACH
end:	atomic { dataI && dataR -> assert(false) }
#else
end:	atomic { !(openR <= sealI && sealI <= openR + 1 && openI <= sealR && sealR <= openI + 1) -> assert(false) }
#endif
}
