package lab

import "fmt"

// Referee has runs repeated that others disturbed, and counts those that stayed so.
type Referee struct {
	Repeat          int // how often a run is done again at most
	runs, disturbed int
}

// Clean gives the result of the first run that nobody disturbed, or else of the
// least disturbed one.
func Clean[T any](r *Referee, run func() (T, Account, error)) (best T, err error) {
	var least Account
	for i := range r.Repeat + 1 {
		result, used, err := run()
		if err != nil {
			return best, err
		}
		if i == 0 || used.disturbance() < least.disturbance() {
			best, least = result, used
		}
		if !least.Disturbed() {
			break
		}
	}
	r.runs++
	if least.Disturbed() {
		r.disturbed++
	}
	return best, nil
}

// Note is a sentence for above the table.
func (r *Referee) Note() string {
	if r.disturbed == 0 {
		return fmt.Sprintf("In none of %d runs others had more than %.0f %% of the machine.", r.runs, 100*disturbed)
	}
	return fmt.Sprintf("In %d of %d runs others had more than %.0f %% of the machine, even after %d repetitions; such figures are in the table.",
		r.disturbed, r.runs, 100*disturbed, r.Repeat)
}
