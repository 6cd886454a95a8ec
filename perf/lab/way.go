package lab

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// Way is one way of carrying packets between the sites.
type Way struct {
	Name     string
	Offloads string // where they stay on while it is measured
	overhead int    // what it adds to a packet, in bytes
	start    func(*Lab) error
}

// The ways that are compared. Outer headers are IPv4 and UDP.
var (
	recordOverhead    = 20 + 8 + 16 + 16
	wireGuardOverhead = 20 + 8 + 16 + 16
)

// Gateways are ours, with AF_XDP on both sides or with super-frames inside.
func Gateways() Way {
	return Way{"gateways, AF_XDP", "none", recordOverhead, func(l *Lab) error { return l.startGateways("xdp", "xdp", false) }}
}

// SuperFrames are our gateways with an inside that takes and gives super-frames;
// the hosts' offloads stay on.
func SuperFrames() Way {
	return Way{"gateways, super-frames", "inside", recordOverhead, func(l *Lab) error { return l.startGateways("superframe", "xdp", false) }}
}

// SuperFramesBoth have an outside of the same kind as well, and all offloads on.
func SuperFramesBoth() Way {
	return Way{"gateways, super-frames on both ports", "all", recordOverhead, func(l *Lab) error { return l.startGateways("superframe", "superframe", false) }}
}

// NullCipher is Gateways with a cipher that only copies.
func NullCipher() Way {
	return Way{"null cipher, AF_XDP", "none", recordOverhead, func(l *Lab) error { return l.startGateways("xdp", "xdp", true) }}
}

// NullSuperFrames is SuperFrames with a cipher that only copies.
func NullSuperFrames() Way {
	return Way{"null cipher, super-frames", "inside", recordOverhead, func(l *Lab) error { return l.startGateways("superframe", "xdp", true) }}
}

// WireGuard is wireguard-go with the offloads of all ends on or off.
func WireGuard(offloads bool) Way {
	return Way{"wireguard-go, " + onOff(offloads), allOrNone(offloads), wireGuardOverhead, (*Lab).startWireGuard}
}

// Kernel is the kernels' own forwarding, in clear.
func Kernel(offloads bool) Way {
	return Way{"kernel in clear, " + onOff(offloads), allOrNone(offloads), 0, func(*Lab) error { return nil }}
}

func onOff(offloads bool) string {
	if offloads {
		return "offloads on"
	}
	return "offloads off"
}

func allOrNone(offloads bool) string {
	if offloads {
		return "all"
	}
	return "none"
}

// Reason is an error's text on one line, for a table, without the places where
// things happened to lie.
func (w *Workshop) Reason(err error) string {
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), w.dir+"/", "")), " ")
	return text[:min(len(text), 300)]
}

// Sites makes the sites without any way between them but the kernels' own, for
// those who bring theirs.
func (w *Workshop) Sites(wireMTU int) (*Lab, error) {
	return open(w.ctx, w, Setting{WireMTU: wireMTU, HostMTU: wireMTU, Offloads: "none"})
}

// Open makes the sites at a wire MTU and starts the way in them. It is up when a
// full-sized packet has crossed.
func (w *Workshop) Open(way Way, wireMTU int) (*Lab, error) {
	l, err := open(w.ctx, w, Setting{WireMTU: wireMTU, HostMTU: wireMTU - way.overhead, Offloads: way.Offloads})
	if err != nil {
		return nil, err
	}
	if err := l.bring(way); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) bring(way Way) error {
	if way.overhead > 0 {
		// Tunnels have to earn it: nothing crosses by the kernels' own routes.
		for ns, route := range map[string]string{"gw-a": siteB, "gw-b": siteA} {
			if _, err := l.Run(ns, "ip", "route", "del", route); err != nil {
				return err
			}
		}
	}
	if err := way.start(l); err != nil {
		return err
	}
	if !l.crosses(56, 15*time.Second) {
		return fmt.Errorf("no packet crosses\n%s", l.Said())
	}
	if !l.crosses(l.HostMTU-28, 3*time.Second) {
		return fmt.Errorf("it does not carry packets of %d bytes", l.HostMTU)
	}
	return nil
}

// crosses says whether a ping of so many bytes, not to be fragmented, is answered
// within a time.
func (l *Lab) crosses(bytes int, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline) && l.ctx.Err() == nil; {
		_, err := l.Run("host-a", "ping", "-n", "-q", "-c", "1", "-W", "0.3", "-M", "do", "-s", fmt.Sprint(bytes), HostB)
		if err == nil {
			return true
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-l.ctx.Done():
		}
	}
	return false
}

// sideLine finds the lines of a configuration that say what the sides are.
var sideLine = regexp.MustCompile(`(?m)^  (inside|outside): { (interface: [^}]*) }$`)

// startGateways starts ours on the configurations that we ship, with the kind of
// ports asked for.
func (l *Lab) startGateways(inside, outside string, null bool) error {
	w := l.workshop
	program, err := w.gateway(null)
	if err != nil {
		return fmt.Errorf("build the gateway: %w", err)
	}
	var files, peers [2]string
	for i, site := range []string{"a", "b"} {
		if files[i], peers[1-i], err = w.identity(site); err != nil {
			return err
		}
	}
	for i, site := range []string{"a", "b"} {
		env := []string{"QZMQ_IDENTITY=" + files[i], "QZMQ_PEER=" + peers[i], "QZMQ_GATEWAY_ADMIN_SOCKET=" + w.path(site+".sock")}
		config, err := w.configuration(program, site, inside, outside, env)
		if err != nil {
			return err
		}
		if _, err := l.Start("gw-"+site, env, program, "--config", config); err != nil {
			return err
		}
	}
	return nil
}

// configuration writes that of a site.
func (w *Workshop) configuration(program, site, inside, outside string, env []string) (string, error) {
	shipped, err := os.ReadFile("configs/site-" + site + ".yaml")
	if err != nil {
		return "", err
	}
	path := w.path(fmt.Sprintf("site-%s-%s-%s.yaml", site, inside, outside))
	io := map[string]string{"inside": inside, "outside": outside}
	asked := sideLine.ReplaceAllStringFunc(string(shipped), func(line string) string {
		m := sideLine.FindStringSubmatch(line)
		return fmt.Sprintf("  %s: { %s, io: %s }", m[1], m[2], io[m[1]])
	})
	if err := os.WriteFile(path, []byte(asked), 0o600); err != nil {
		return "", err
	}
	_, err = w.run("", env, program, "--config", path, "--check")
	return path, err
}
