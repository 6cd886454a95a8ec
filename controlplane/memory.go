package controlplane

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"
)

// guardMemory does what keepMemory can and says what it cannot, which is no reason not
// to start.
func guardMemory(log *slog.Logger) {
	for _, err := range keepMemory() {
		log.Warn("keys are less safe in memory than they could be", "reason", err)
	}
}

// keepMemory keeps the process's memory, in which keys are, from the disk: no
// core dump, no swap, and no look by other processes of the user. Every step is
// tried, and the errors say what was refused.
func keepMemory() (errs []error) {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		errs = append(errs, fmt.Errorf("forbid core dumps: %w", err))
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		errs = append(errs, fmt.Errorf("hide the memory from other processes: %w", err))
	}
	if err := lockMemory(); err != nil {
		errs = append(errs, fmt.Errorf("keep the memory from swap: %w", err))
	}
	return errs
}

// errMemoryLimit tells an operator what an ordinary user's process lacks.
var errMemoryLimit = errors.New("locked memory is limited: allow it without limit (LimitMEMLOCK=infinity, ulimit -l unlimited), or CAP_IPC_LOCK")

// lockMemory locks pages as they are first used, since Go reserves far more address
// space than it needs. It does so only where no limit holds: under one the kernel
// refuses whatever the program maps beyond it, of which Go dies, hours later perhaps.
func lockMemory() (err error) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &was); err != nil {
		return err
	}
	if was.Max == unix.RLIM_INFINITY {
		err = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: was.Max, Max: was.Max})
	} else { // with nothing allowed, the kernel lets in only whom no limit binds
		err = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 0, Max: was.Max})
		defer func() { err = errors.Join(err, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &was)) }()
	}
	if err != nil {
		return err
	}
	err = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	if errors.Is(err, unix.EPERM) {
		return errMemoryLimit
	}
	return err
}
