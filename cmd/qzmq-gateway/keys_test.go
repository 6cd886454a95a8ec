package main_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestOtherKeys is a link as an operator makes it who wants other keys than the usual
// ones: a composite at one site, whose gateway demands a knock, and the default at the
// other. One of them is asked to write a key log.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "-keys")
	const composite = "ed25519+mldsa65"
	out, err := exec.CommandContext(b.ctx, "qzmqctl", "keygen", "--algorithm", composite, b.key("composite")).Output()
	if err != nil {
		t.Fatal(err)
	}
	knock, keys, never := b.dir+"/a.knock", b.dir+"/keys", b.dir+"/never"
	if out, err := exec.CommandContext(b.ctx, "qzmqctl", "knock", knock).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("qzmqctl knock: %v\n%s", err, out)
	}
	path := b.configure(siteA, "    default_suite: { sig: mldsa44 }")
	b.configure(siteB, "    default_suite: { sig: "+composite+" }", "    knock: "+knock)

	a := b.gatewayWith(siteA, []string{"--config", path, "--keylog", keys}, "QZMQ_IDENTITY="+b.key("composite"),
		"QZMQ_QZMQ_DEFAULT_SUITE_SIG="+composite, "QZMQ_GATEWAY_KNOCK="+knock)
	// No variable of the environment makes a gateway log keys.
	z := b.gateway(siteB, "QZMQ_PEER="+strings.TrimSpace(string(out)),
		"SSLKEYLOGFILE="+never, "QZMQ_KEYLOG="+never, "QZMQ_GATEWAY_KEYLOG="+never)
	a.awaitReady()
	z.awaitReady()
	b.within(10*time.Second, "traffic flows both ways", func() bool { return b.ping("host-a", hostB4) && b.ping("host-b", hostA6) })

	a.once("level=WARN", "KEY LOG: THE KEYS OF ALL TRAFFIC ARE WRITTEN TO A FILE", keys)
	if n := len(z.out.lines("KEY LOG")); n > 0 {
		t.Errorf("gateway b warns of a key log %d times", n)
	}
	text, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"HANDSHAKE_SECRET", "TRAFFIC_SECRET_0", "DATA_SECRET_0"} {
		if !strings.Contains(string(text), "QZMQ_INITIATOR_"+label+" ") || !strings.Contains(string(text), "QZMQ_RESPONDER_"+label+" ") {
			t.Errorf("no %s of both sides in\n%s", label, text)
		}
	}
	if info, err := os.Stat(keys); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key log: %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(never); err == nil {
		t.Error("gateway b has written a key log that no flag has asked for")
	}
}
