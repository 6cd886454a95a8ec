/* The ratchet of one UDP stream: a sender that moves on after N records, a receiver that holds the
   keys of epochs current-1 .. current+3, one replay window, and announcements over the control channel.

   The network loses, repeats and reorders; the intruder sends records with any epoch byte and any seq,
   without a key. A seq belongs to one epoch, seq / N, so a record in flight is its seq.

   Assumed of the network: no record stays on its way for longer than an epoch lasts.
   Instead of 2^27 records an epoch has N = 2, instead of 255 the last epoch is LAST. */
#define N 2
#define W 4                   /* window; in flight are records of two epochs: 2*N */
#ifndef LAST
#define LAST 7
#endif
#ifdef WRAP                   /* broken: the byte wraps, and the sender goes on */
#define EPOCHS (2 * (LAST + 1))
#else
#define EPOCHS (LAST + 1)
#endif
#define SEQS (EPOCHS * N)
#define BYTE(e) ((e) % (LAST + 1))

byte epoch;                   /* of the sender */
byte seq;                     /* the next to be sealed; never restarts */
int flight;                   /* bit s: record s is on its way */
byte announced;               /* the newest epoch on the control channel */
bool over;                    /* the sender has stopped and the network is whole again */

byte current;                 /* of the receiver */
byte next;                    /* one more than the highest seq opened */
int window;                   /* bit i: seq next-1-i was opened */
int delivered, judged;        /* what the user got, to judge by; judged are the seqs that are history */
bool gaps;                    /* some record was lost */

inline mark(s) {
	if
	:: s >= next -> window = ((window << (s + 1 - next)) | 1) & ((1 << W) - 1); next = s + 1
	:: else -> window = window | (1 << (next - 1 - s))
	fi
}

#ifdef NO_WINDOW              /* broken: no replay window */
#define FRESH(s) true
#else
#define FRESH(s) (s >= next || (next - 1 - s < W && !(window & (1 << (next - 1 - s)))))
#endif
#ifdef CURRENT_ONLY           /* broken: the old key is dropped at once */
#define HELD(e) (e >= current && e <= current + 3)
#else
#define HELD(e) (e + 1 >= current && e <= current + 3)
#endif

/* What the receiver does with a record that has the right tag, sealed under the key of epoch e. */
inline receive(s, e) {
	assert(current <= epoch && (!next || current >= (next - 1) / N)); /* not past the sender, and not back */
	if
	:: !FRESH(s) -> assert(delivered & (1 << s))    /* only what was delivered is a replay */
	:: FRESH(s) && HELD(e) ->
		assert(!(delivered & (1 << s)));
		delivered = delivered | (1 << s);
		mark(s);
		if :: e > current -> current = e :: else fi
	:: FRESH(s) && !HELD(e) -> assert(e > current + 3) /* an outage; never a record of the past */
	fi
}

active proctype Sender() {
	do
	:: atomic { seq < SEQS && seq / N == epoch -> flight = flight | (1 << seq); seq++ }
	:: atomic { seq < SEQS && seq / N > epoch ->
		epoch++;
		flight = flight & ~((1 << ((epoch - 1) * N)) - 1); /* the assumption above */
		gaps = gaps || ((1 << ((epoch - 1) * N)) - 1) & ~delivered & ~judged;
		judged = (1 << ((epoch - 1) * N)) - 1;
		delivered = delivered & ~judged; /* nothing can repeat them: what became of them is history */
#ifndef NO_ANNOUNCE           /* broken: no announcements */
		announced = epoch
#endif
		}
	:: seq == SEQS -> break
	od;
	over = true /* the outage ends: the channel brings its news, then the last record arrives */
}

active proctype Network() {
	byte s;
	do
	:: !over -> atomic {
		select(s : 0 .. SEQS - 1);
		flight = flight & ~(1 << s); /* lost */
		s = 0
		}
	:: over -> break
	od
}

active proctype Receiver() {
	byte s;
	do
	:: atomic { /* a record arrives; it stays in flight and may arrive again */
		select(s : 0 .. SEQS - 1);
		if
#ifdef WRAP                   /* the byte stands for the epoch within reach that ends in it: another key does not open it */
		:: (flight & (1 << s)) && HELD(s / N) -> receive(s, s / N)
#else
		:: flight & (1 << s) -> receive(s, s / N)
#endif
		:: else
		fi;
		s = 0
		}
	:: atomic { /* a forged record arrives, with any epoch byte and any seq */
#ifdef FORGED_MOVES           /* broken: the epoch byte is believed before the tag is checked */
		select(s : 0 .. LAST);
		if :: HELD(s) && s > current -> current = s :: else fi;
#endif
#ifdef FORGED_MARKS           /* broken: the window moves before the tag is checked */
		select(s : 0 .. SEQS - 1);
		if :: FRESH(s) -> mark(s) :: else fi;
#endif
		s = 0
		}
#ifdef ANNOUNCED_BACK         /* broken: an old announcement is believed too */
	:: atomic { select(s : 0 .. announced); current = s; s = 0 }
#endif
	:: atomic { BYTE(announced) > BYTE(current) -> current = current + BYTE(announced) - BYTE(current) }
	:: over && BYTE(announced) <= BYTE(current) -> break
	od;
	atomic {
		s = SEQS - 1;
		receive(s, s / N);
		assert(delivered & (1 << s));
#ifdef REACH                  /* a run in which every record arrives exists */
		assert(gaps || (delivered | judged) != (1 << SEQS) - 1)
#endif
		s = 0
	}
}
