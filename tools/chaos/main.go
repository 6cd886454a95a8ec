// Command chaos sees whether the sockets of package qzmq keep their promises while
// everything that can happen to connections happens to theirs.
//
//	chaos [-minutes N] [-seed N]
//
// All patterns run at once in this process, most of them through proxies that cut,
// stall, delay, corrupt, truncate, repeat, reorder and inject, or lead to somebody else;
// attackers without a key that is let in call and speak all the time. A model knows of
// every message where it was sent and where it has come: flow.go says what is promised,
// world.go and patterns.go who talks to whom, run.go what happens when.
//
// It prints what has happened and what was found, and its exit code says whether that
// was nothing: 0 nothing, 1 something, 2 usage. A seed brings back the faults of every
// connection, as far as it lives to see them.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

func main() {
	minutes := flag.Float64("minutes", 1, "go on for `N` minutes")
	seed := flag.Uint64("seed", 0, "the faults of an earlier run; 0 is other ones")
	flag.Parse()
	if flag.NArg() > 0 || *minutes <= 0 {
		fmt.Fprintln(os.Stderr, "usage: chaos [-minutes N] [-seed N]")
		os.Exit(2)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Println("seed", *seed)
	found, err := run(plan{seed: *seed, lasts: time.Duration(*minutes * float64(time.Minute)), storm: longStorm}, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	for _, f := range found {
		fmt.Println("FOUND", f)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
	fmt.Println("every promise was kept")
}
