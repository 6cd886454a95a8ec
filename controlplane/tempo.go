package controlplane

import "time"

// tempo is how fast links move. There is one in the product; tests of thousands
// of rotations use a faster one.
type tempo struct {
	ping        time.Duration // between signs of life
	dead        time.Duration // without a word from the peer
	settle      time.Duration // what two channels get to prove that they live
	grace       time.Duration // records of a replaced session are still opened
	polite      time.Duration // when both sides may dial, the larger one waits so long, up to three times
	backoff     time.Duration // after the first failure to dial, then doubled
	backoffMost time.Duration
}

// usualTempo finds a peer that restarts again well within 5 s.
func usualTempo() tempo {
	return tempo{
		ping: time.Second, dead: 5 * time.Second, settle: 2500 * time.Millisecond, grace: 5 * time.Second,
		polite: time.Second, backoff: 100 * time.Millisecond, backoffMost: 2 * time.Second,
	}
}
