package controlplane

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// keepMemory keeps the process's memory, in which keys are, from the disk: no
// core dump, no swap, and no look by other processes of the user. Pages are
// locked as they are first used, since Go reserves far more address space than
// it needs. Every step is tried, and the errors say what was refused.
func keepMemory() (errs []error) {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		errs = append(errs, fmt.Errorf("forbid core dumps: %w", err))
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		errs = append(errs, fmt.Errorf("hide the memory from other processes: %w", err))
	}
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		errs = append(errs, fmt.Errorf("keep the memory from swap: %w", err))
	}
	return errs
}
