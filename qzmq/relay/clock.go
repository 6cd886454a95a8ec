package relay

import (
	"time"

	"golang.org/x/sys/unix"
)

// SinceBoot is the clock of tickets, cookies and the ages of sessions: it does not
// stop when the machine sleeps.
func SinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("relay: no boot time clock: " + err.Error())
	}
	return time.Duration(t.Nano())
}
