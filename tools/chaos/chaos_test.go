package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// The promises are kept in a short storm.
func TestStorm(t *testing.T) {
	var out bytes.Buffer
	found, err := run(plan{seed: 1, storm: 7 * time.Second}, &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
	// Nothing was kept where nothing has happened.
	if strings.Contains(out.String(), " 0 sent") || strings.Contains(out.String(), " 0 corrupted") {
		t.Errorf("the storm was none:\n%s", &out)
	}
	t.Logf("%s", &out)
}

// The same storm is found out where nothing is sealed: messages arrive altered, attackers
// are heard and hear, and each of these is a finding.
func TestStormIsFoundOut(t *testing.T) {
	var out bytes.Buffer
	found, err := run(plan{seed: 1, storm: 3 * time.Second, plain: true}, &out)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(found, "\n")
	for _, what := range []string{errAltered.Error(), "an attacker has been heard", "attacking SUB: hears a message"} {
		if !strings.Contains(all, what) {
			t.Errorf("%q is not found in:\n%s", what, all)
		}
	}
}

// What is lost in the calm is found with its reason.
func TestCalmSaysWhy(t *testing.T) {
	var out bytes.Buffer
	w := newWorld(1, false)
	defer w.close()
	if err := w.publication(); err != nil {
		t.Fatal(err)
	}
	w.recover(&out, "everything connects")
	w.all.Go(func() {
		for w.ctx.Err() == nil {
			w.sleep(undivided / 4)
			w.proxies[0].cutAll()
		}
	})
	w.spend(&out, time.Second)
	all := strings.Join(w.verdict.findings(), "\n")
	for _, what := range []string{
		"PUB to SUB 1: ", "messages are lost that nothing may lose", "; 0 of them within a connection; from ",
		"the calm: from ", "SUB 1 disconnected with ", "SUB 1 connected with ", "PUB disconnected with ", "PUB connected with ",
	} {
		if !strings.Contains(all, what) {
			t.Errorf("%q is not found in:\n%s", what, all)
		}
	}
	if strings.Contains(all, "SUB 2") {
		t.Errorf("another is suspected:\n%s", all)
	}
}
