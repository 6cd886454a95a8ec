package dataplane

import "sync/atomic"

// Stats are the counters of one queue since the start.
type Stats struct {
	Out, In  Traffic // sealed and opened: records, and bytes of inner packets
	Answered uint64  // ICMP errors sent
	// Packets that came second or later in their record. So there are
	// Records + Shared packets.
	SharedOut, SharedIn uint64
	Dropped             [dropCount]uint64 // packets by Drop
}

const plainCounters = 7 // in a Stats, beside Dropped

// published is a Stats that one worker writes once a batch and anybody reads.
// The padding keeps it off the cache lines that the worker writes per packet.
type published struct {
	_     [64]byte
	words [plainCounters + int(dropCount)]word
	_     [64]byte
}

func (p *published) store(s *Stats) {
	for i, v := range [plainCounters]uint64{
		s.Out.Records, s.Out.Bytes, s.In.Records, s.In.Bytes, s.Answered, s.SharedOut, s.SharedIn,
	} {
		p.words[i].set(v)
	}
	for i, v := range s.Dropped {
		p.words[plainCounters+i].set(v)
	}
}

// word is a counter with one writer. Most counters stay as they are from batch
// to batch, and a store costs more than a look.
type word struct{ atomic.Uint64 }

func (w *word) set(v uint64) {
	if w.Load() != v {
		w.Store(v)
	}
}

func (p *published) load() (s Stats) {
	s.Out = Traffic{p.words[0].Load(), p.words[1].Load()}
	s.In = Traffic{p.words[2].Load(), p.words[3].Load()}
	s.Answered = p.words[4].Load()
	s.SharedOut, s.SharedIn = p.words[5].Load(), p.words[6].Load()
	for i := range s.Dropped {
		s.Dropped[i] = p.words[plainCounters+i].Load()
	}
	return s
}
