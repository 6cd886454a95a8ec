// The tests of this folder run what an operator runs: the real programs, built
// once, in the network namespaces of tools/testbed, with a real kernel between
// them and real libzmq programs behind them. Nothing is simulated, so they need
// root, and fail without it.
//
// Each test has a testbed of its own. The outside is looked at in the middle of
// the cable, because frames that pass through AF_XDP meet no packet tap on the
// gateway's own interface.
package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code, err := withPrograms(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

// withPrograms builds the programs and runs the tests with them first in PATH.
func withPrograms(run func() int) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("these tests make network namespaces and attach XDP programs: run them as root")
	}
	dir, err := os.MkdirTemp("", "qzmq-gateway-test-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	built, err := exec.Command("go", "build", "-o", dir+"/", ".", "../qzmqctl").CombinedOutput()
	if err != nil {
		return 1, fmt.Errorf("build the programs: %w\n%s", err, built)
	}
	if err := os.Setenv("PATH", dir+":"+os.Getenv("PATH")); err != nil {
		return 1, err
	}
	return run(), nil
}

// interruptible gives the context of everything that t starts. It ends early
// enough before the test binary's deadline, or at Ctrl-C, for the clean-up. It
// outlives t.Context, so that a gateway can still be asked why a test failed.
func interruptible(t *testing.T) context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	t.Cleanup(stop)
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-15*time.Second))
		t.Cleanup(cancel)
	}
	return ctx
}
