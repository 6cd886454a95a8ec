package controlplane

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// guardedLab is a lab whose hosts answer pings and, on h2, TCP and UDP ports.
type guardedLab struct{ *kernelLab }

func newGuardedLab(t *testing.T, ports ...int) guardedLab {
	l := guardedLab{newKernelLab(t)}
	for _, port := range ports {
		l.serve("h2", port)
	}
	return l
}

// serve accepts TCP connections and echoes UDP packets on a port.
func (l guardedLab) serve(ns string, port int) {
	l.t.Helper()
	l.in(ns, func() {
		ln, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", port))
		if err != nil {
			l.t.Error(err)
			return
		}
		l.t.Cleanup(func() { ln.Close() })
		go func() {
			for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
				c.Close()
			}
		}()
		pc, err := net.ListenPacket("udp", fmt.Sprintf("[::]:%d", port))
		if err != nil {
			l.t.Error(err)
			return
		}
		l.t.Cleanup(func() { pc.Close() })
		go func() {
			b := make([]byte, 2048)
			for {
				n, from, err := pc.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = pc.WriteTo(b[:n], from) // the asker times out if it is lost
			}
		}()
	})
}

// ping reports whether addr answers.
func (l guardedLab) ping(ns, addr string) bool {
	l.t.Helper()
	err := exec.Command("ip", "netns", "exec", l.prefix+ns, "ping", "-nqc1", "-W1", addr).Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	return err == nil
}

// reaches reports whether h1 reaches a port, from a source port or any (0).
func (l guardedLab) reaches(network, addr string, port, from int) bool {
	l.t.Helper()
	var ok bool
	l.in("h1", func() {
		d := net.Dialer{Timeout: 400 * time.Millisecond}
		switch network {
		case "tcp":
			d.LocalAddr = &net.TCPAddr{Port: from}
		case "udp":
			d.LocalAddr = &net.UDPAddr{Port: from}
		}
		c, err := d.Dial(network, net.JoinHostPort(addr, fmt.Sprint(port)))
		if errors.Is(err, os.ErrPermission) {
			l.t.Errorf("dial %s: %v", addr, err)
		}
		if err != nil {
			return
		}
		defer c.Close()
		if network == "udp" {
			_ = c.SetDeadline(time.Now().Add(400 * time.Millisecond))
			if _, err := c.Write([]byte("hello")); err != nil {
				return
			}
			if _, err := c.Read(make([]byte, 16)); err != nil {
				return
			}
		}
		ok = true
	})
	return ok
}

func (l guardedLab) sync(rules ...guardRule) {
	l.t.Helper()
	l.in("gw", func() {
		if err := syncGuard("eth1", rules); err != nil {
			l.t.Error(err)
		}
	})
}

func (l guardedLab) clear() {
	l.t.Helper()
	l.in("gw", func() {
		if err := clearGuard(); err != nil {
			l.t.Error(err)
		}
	})
}

// rules lists all policy rules of the gateway.
func (l guardedLab) rules() string {
	l.t.Helper()
	return l.do("gw", "ip -d rule") + l.do("gw", "ip -d -6 rule")
}

// expect checks what gets from h1 through the gateway: pings, then ports.
func (l guardedLab) expect(when string, want map[string]bool) {
	l.t.Helper()
	for what, pass := range want {
		var got bool
		f := strings.Fields(what)
		switch f[0] {
		case "ping":
			got = l.ping("h1", f[1])
		default:
			var port, from int
			if _, err := fmt.Sscan(f[2], &port); err != nil {
				l.t.Fatal(err)
			}
			if len(f) > 3 {
				if _, err := fmt.Sscan(f[3], &from); err != nil {
					l.t.Fatal(err)
				}
			}
			got = l.reaches(f[0], f[1], port, from)
		}
		if got != pass {
			l.t.Errorf("%s: %s passes: %t, want %t\n%s", when, what, got, pass, l.rules())
		}
	}
}

func guarded(route string, services ...PortRange) guardRule {
	return guardRule{route: netip.MustParsePrefix(route), services: services}
}
