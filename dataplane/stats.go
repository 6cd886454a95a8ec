package dataplane

import "sync/atomic"

// Stats are the counters of one queue since the start.
type Stats struct {
	Out, In  Traffic           // sealed and opened: records, and bytes of inner packets
	Answered uint64            // ICMP errors sent
	Dropped  [dropCount]uint64 // packets by Drop
}

// published is a Stats that one worker writes once a batch and anybody reads.
// The padding keeps it off the cache lines that the worker writes per packet.
type published struct {
	_     [64]byte
	words [5 + int(dropCount)]atomic.Uint64
	_     [64]byte
}

func (p *published) store(s *Stats) {
	for i, v := range [...]uint64{s.Out.Records, s.Out.Bytes, s.In.Records, s.In.Bytes, s.Answered} {
		p.words[i].Store(v)
	}
	for i, v := range s.Dropped {
		// Most reasons never happen; a store costs more than a look.
		if p.words[5+i].Load() != v {
			p.words[5+i].Store(v)
		}
	}
}

func (p *published) load() (s Stats) {
	s.Out = Traffic{p.words[0].Load(), p.words[1].Load()}
	s.In = Traffic{p.words[2].Load(), p.words[3].Load()}
	s.Answered = p.words[4].Load()
	for i := range s.Dropped {
		s.Dropped[i] = p.words[5+i].Load()
	}
	return s
}
