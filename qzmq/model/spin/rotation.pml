/* Sessions of a link: make before break, both gateways dialling at once, control connections that break.

   Side 0 has the smaller fingerprint. Session 0 is up when the model begins; either side dialled it. Each
   further one is a control connection with its own set-up, LINK_OFFER, LINK_ACCEPT, LINK_READY, in order
   unless it breaks. Any side dials at any time, DIALS times in all. The names are those of
   controlplane/link.go and channel.go: join, leave, retire, choose, settle.

   Data: while a side seals for a session its records may arrive at any time, and for a while after it has
   left it ("late"). Records that meet no opener are what must not be.

   Assumed of clocks: the grace ends after the other side has left the session and its last records have
   arrived (that it does leave is shown); settleTime is longer than a set-up. */
#define SESSIONS 3
#ifndef DIALS
#define DIALS 2               /* how many set-ups are begun */
#endif
#ifndef BREAKS
#define BREAKS 0
#endif
#define NONE SESSIONS
#define AT(side, s) ((side) * SESSIONS + (s))

mtype = { OFFER, ACCEPT, READY, SUPERSEDED };
mtype = { DIALLING, ACCEPTING, ALIVE, LOST, RETIRED, FORGOTTEN };

chan control[2 * SESSIONS] = [2] of { mtype }; /* AT(side, s): to side, on the connection of session s */
mtype state[2 * SESSIONS];    /* 0 before the set-up */
byte rank[2 * SESSIONS];      /* order in which sessions came up on this side */
bool opens[2 * SESSIONS];     /* openers and steering entry are in place */
bool late[2 * SESSIONS];      /* records from this side may still arrive though it has left the session */
bool dialler[SESSIONS];
bool had[SESSIONS];           /* side 0 has settled about it */
byte brokeAt[SESSIONS];       /* how many sessions side 0 had seen come up by then */
bool broken[SESSIONS];        /* the connection is gone; each side notices in its own time */
byte sealing[2];              /* the session each side seals on, or NONE */
byte ranks[2];
byte used, breaks;

inline retire(me, s) {
#ifdef NO_GRACE               /* broken: late records of a replaced session are not waited for */
	opens[AT(me, s)] = false;
#endif
	state[AT(me, s)] = RETIRED
}

/* The newest session that has its connection, or else the newest of those that only lost it. */
inline choose(me) {
	best = NONE; i = 0;
	do
	:: i < SESSIONS ->
		if
		:: state[AT(me, i)] == ALIVE || state[AT(me, i)] == LOST ->
			if
			:: best == NONE -> best = i
			:: best != NONE && state[AT(me, i)] == state[AT(me, best)] && rank[AT(me, i)] > rank[AT(me, best)] -> best = i
			:: best != NONE && state[AT(me, i)] == ALIVE && state[AT(me, best)] == LOST -> best = i
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: sealing[me] != best ->
		if :: sealing[me] != NONE -> late[AT(me, sealing[me])] = true :: else fi;
		sealing[me] = best
	:: else
	fi;
	best = 0; i = 0
}

inline join(me, s) {
	i = 0;
	do
	:: i < SESSIONS -> if :: state[AT(me, i)] == LOST -> retire(me, i) :: else fi; i++
	:: else -> break
	od;
	state[AT(me, s)] = ALIVE;
	ranks[me]++;
	rank[AT(me, s)] = ranks[me];
	choose(me)
}

inline leave(me, s, goodbye) {
#ifdef RETIRED_AT_LOSS        /* broken: a lost connection ends its session if there is another */
	i = 0;
	do
	:: i < SESSIONS -> if :: state[AT(me, i)] == ALIVE && i != s -> other = true :: else fi; i++
	:: else -> break
	od;
#endif
	if
	:: goodbye || other -> retire(me, s)
	:: else -> state[AT(me, s)] = LOST
	fi;
	other = false;
	choose(me)
}

/* settleTime after s came up: one session is left, the newest that this side dialled and that lives, or
   else s, if a word of it has come from the other side since it came up. What came up after s is let be:
   it is settled about in its turn. */
#ifdef THE_NEW_TOO            /* broken: what has just come up is closed or kept too */
#define UP(me, i) (state[AT(me, i)] == ALIVE)
#else
#define UP(me, i) (state[AT(me, i)] == ALIVE && rank[AT(me, i)] <= rank[AT(me, s)])
#endif
#ifdef UNHEARD                /* broken: that this side has it counts as a word of it */
#define HEARD(me, i) (!broken[i] || (lately && brokeAt[i] >= rank[AT(me, s)]))
#else
#define HEARD(me, i) (rank[AT(1 - me, i)] && (!broken[i] || (lately && brokeAt[i] >= rank[AT(me, s)])))
#endif
inline settle(me, s) {
	if :: lately = false :: lately = true fi;
	if
	:: !HEARD(me, s) /* it breaks, or the next one settles */
	:: else ->
		keep = s; i = 0;
		do
		:: i < SESSIONS ->
			if
			:: UP(me, i) && dialler[i] == me && HEARD(me, i) &&
				(dialler[keep] != me || rank[AT(me, i)] > rank[AT(me, keep)]) -> keep = i
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < SESSIONS ->
			if
			:: UP(me, i) && i != keep ->
				retire(me, i);
				if :: !broken[i] -> control[AT(1 - me, i)]!SUPERSEDED :: else fi
			:: else
			fi;
			i++
		:: else -> break
		od;
	fi;
	keep = 0; lately = false;
	choose(me)
}

#ifdef BOTH_SETTLE            /* broken: either side closes what it likes less */
#define DECIDES(me) true
#else
#define DECIDES(me) (me == 0)
#endif
/* It settles in the order in which sessions came up, and when the set-up has had time to end on both sides. */
#define OLDER(i, s) (state[AT(0, i)] == ALIVE && !had[i] && rank[AT(0, i)] < rank[AT(0, s)])
#define TIME_TO_SETTLE(me, s) (DECIDES(me) && !had[s] && (state[AT(1 - me, s)] != ACCEPTING || broken[s]) && \
	!OLDER(0, s) && !OLDER(1, s) && !OLDER(2, s))

/* What the grace waits for: side has left s, what was on its way to it then has arrived, and its last records. */
#define QUIET(side) (empty(control[AT(side, 0)]) && empty(control[AT(side, 1)]) && empty(control[AT(side, 2)]))
#define HAS_LEFT(side, s) (state[AT(side, s)] != DIALLING && state[AT(side, s)] != ACCEPTING && \
	state[AT(side, s)] != ALIVE && sealing[side] != s && !late[AT(side, s)] && QUIET(side))

/* One side's end of one session. */
proctype End(bool me; byte s) {
	byte i, best, keep;
	bool other, lately;
end:	do
	:: atomic { control[AT(me, s)]?OFFER ->
#ifndef OPEN_AT_READY         /* broken: the acceptor accepts before it has openers */
		opens[AT(me, s)] = true;
#endif
		state[AT(me, s)] = ACCEPTING;
#ifdef SEAL_AT_OFFER          /* broken: the acceptor seals without waiting for READY */
		join(me, s);
#endif
		if :: !broken[s] -> control[AT(1 - me, s)]!ACCEPT :: else fi }
	:: atomic { control[AT(me, s)]?ACCEPT ->
		opens[AT(me, s)] = true;
		if :: !broken[s] -> control[AT(1 - me, s)]!READY :: else fi;
		join(me, s) }
	:: atomic { control[AT(me, s)]?READY ->
		opens[AT(me, s)] = true;
#ifndef SEAL_AT_OFFER
		join(me, s)
#endif
		}
	:: atomic { control[AT(me, s)]?SUPERSEDED ->
		if :: state[AT(me, s)] == ALIVE -> leave(me, s, true) :: else fi }
	:: atomic { broken[s] && empty(control[AT(me, s)]) && state[AT(me, s)] == ALIVE -> leave(me, s, false) }
	:: atomic { broken[s] && empty(control[AT(me, s)]) && (state[AT(me, s)] == DIALLING || state[AT(me, s)] == ACCEPTING) ->
#ifdef FORGET_AT_FAILURE      /* broken: the dialler may have sealed already, if it is READY that was lost */
		opens[AT(me, s)] = false;
#endif
		state[AT(me, s)] = RETIRED }
	:: atomic { state[AT(me, s)] == ALIVE && TIME_TO_SETTLE(me, s) ->
		had[s] = true;
		settle(me, s) }
	:: atomic { late[AT(me, s)] -> late[AT(me, s)] = false }
	:: atomic { state[AT(me, s)] == RETIRED && HAS_LEFT(1 - me, s) -> /* the grace is over */
		opens[AT(me, s)] = false;
		state[AT(me, s)] = FORGOTTEN }
	od
}

proctype Dial(bool me) {
end:	do
	:: atomic { used <= DIALS ->
		dialler[used] = me;
		state[AT(me, used)] = DIALLING;
		control[AT(1 - me, used)]!OFFER;
		used++ }
	od
}

proctype Break(byte s) {
end:	atomic { breaks < BREAKS && s < used ->
		breaks++;
		broken[s] = true;
		brokeAt[s] = ranks[0];
		if
		:: true
		:: do :: control[AT(0, s)]?_ :: empty(control[AT(0, s)]) -> break od
		:: do :: control[AT(1, s)]?_ :: empty(control[AT(1, s)]) -> break od
		fi }
}

#define MEETS_NO_OPENER(side, s) ((sealing[side] == s || late[AT(side, s)]) && !opens[AT(1 - (side), s)])

#define UNOPENED(s) (MEETS_NO_OPENER(0, s) || MEETS_NO_OPENER(1, s))
#define RECORD_LOST (UNOPENED(0) || UNOPENED(1) || UNOPENED(2))
#define NOTHING_SEALS (sealing[0] == NONE || sealing[1] == NONE)

proctype Judge() {
	byte s;
	do
	:: atomic { RECORD_LOST -> assert(!RECORD_LOST) }
	:: atomic { NOTHING_SEALS -> assert(!NOTHING_SEALS) }
	:: atomic { timeout -> /* nothing is left to happen */
		assert(used == DIALS + 1);
#ifdef REACH                  /* both dial, and the session that side 0 dialled is the one that stays */
		assert(!(dialler[1] == 0 && dialler[2] == 1 && sealing[0] == 1 && sealing[1] == 1));
#endif
		s = 0;
		do
		:: s < SESSIONS ->
			assert(state[AT(0, s)] != RETIRED && state[AT(1, s)] != RETIRED);
			/* without breaks one session is left, and both seal for it */
			assert(BREAKS || ((state[AT(0, s)] == ALIVE) == (sealing[0] == s)));
			assert(BREAKS || ((state[AT(1, s)] == ALIVE) == (sealing[1] == s)));
			s++
		:: else -> break
		od;
		assert(BREAKS || sealing[0] == sealing[1]);
		break }
	od
}

init {
	byte s;
	atomic {
		if :: dialler[0] = 0 :: dialler[0] = 1 fi;
		state[AT(0, 0)] = ALIVE; state[AT(1, 0)] = ALIVE;
		opens[AT(0, 0)] = true; opens[AT(1, 0)] = true;
		rank[AT(0, 0)] = 1; rank[AT(1, 0)] = 1; ranks[0] = 1; ranks[1] = 1;
		used = 1;
		s = 0;
		do
		:: s < SESSIONS -> run End(0, s); run End(1, s); run Break(s); s++
		:: else -> break
		od;
		s = 0;
		run Dial(0); run Dial(1); run Judge()
	}
}
