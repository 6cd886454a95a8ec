package main

import (
	"errors"
	"time"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/record"
)

// changes is how many keys a stream uses up here: nearly as many as the epoch byte
// can count.
const changes = 250

// ratchetRows gives what a stream's change of keys costs. In service there is one
// in 2^16 records or fewer, which nobody could measure in a flow; so here the
// limits are lowered until a change comes with every record, and the same flow
// without changes is taken off. What is left is the work of both ends: the
// derivations, which the control plane does ahead, and the taking of keys.
func ratchetRows(s *sheet.Sheet, e effort) (round, error) {
	code := record.AES256GCM
	never := code.Limits()
	always := never
	always.FirstRecords, always.RotateRecords = 1, 1
	perRecord := s.Row(sheet.Rates, "ratchet, both ends, spread over the fewest records between two changes in service", "ns/record", sheet.Below(1000, 1))
	pause := s.Row(sheet.Times, "ratchet, the sealing worker at a change of keys", "ns", sheet.AtMost(1000))
	change := s.Plain(sheet.Times, "ratchet, a change of keys, both ends with all derivations", "µs")
	lost := s.Row(sheet.Rates, "ratchet, records lost over all changes of a round", "records", sheet.AtMost(0))
	return func() error {
		var with, without, sealWith, sealWithout time.Duration
		missing := 0
		for range e.flows {
			changing, staying := newFlow(code, always), newFlow(code, never)
			for range changes {
				staying.step()
				changing.step()
			}
			with, without = with+changing.took, without+staying.took
			sealWith, sealWithout = sealWith+changing.sealing, sealWithout+staying.sealing
			if changing.lanes[0].sealer.Epoch() != changes-1 || staying.lanes[0].sealer.Epoch() != 0 {
				return errEpochs
			}
			missing += changes*lanes - changing.opened
		}
		n := e.flows * lanes * changes
		change.Add(micros(with-without, n))
		pause.Add(nanos(sealWith-sealWithout, n))
		perRecord.Add(nanos(with-without, n) / float64(never.FirstRecords))
		lost.Add(float64(missing))
		return nil
	}, nil
}

var errEpochs = errors.New("streams do not change their keys as their limits say")

// flow is some streams that go on in step, from sealer to opener, so that the
// clock is read once for all of them.
type flow struct {
	lanes   []lane
	burst   *record.Burst
	opened  int
	now     time.Time
	took    time.Duration // all of it
	sealing time.Duration // what the sealing worker does
}

type lane struct {
	sealer        *record.Sealer
	opener        *record.Opener
	plain, record []byte
}

const lanes = 16

func newFlow(code record.AEAD, limits record.Limits) *flow {
	f := &flow{burst: record.NewBurst(lanes)}
	for range lanes {
		l := lane{plain: make([]byte, 64), record: make([]byte, 64+record.Overhead)}
		l.sealer, l.opener = stream(code, limits)
		f.lanes = append(f.lanes, l)
	}
	return f
}

// step carries one record over each stream and gets the next keys ready.
func (f *flow) step() {
	start := threadTime()
	for i := range f.lanes {
		f.burst.Add(f.lanes[i].sealer, f.lanes[i].record, f.lanes[i].plain)
	}
	f.burst.Seal()
	sealed := threadTime()
	for i := range f.lanes {
		l := &f.lanes[i]
		l.sealer.Prepare()
		l.opener.Acquire(1)
		if _, v := l.opener.Open(l.plain, l.record); v == record.Opened {
			f.opened++
		}
		l.opener.Release()
		l.opener.Prepare(f.now)
	}
	f.took += threadTime() - start
	f.sealing += sealed - start
}
