package lab

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// WireGuardVersion is the one that was built, as the module proxy calls it.
func (w *Workshop) WireGuardVersion() string {
	program, err := w.wireGuard()
	if err != nil {
		return "not installed"
	}
	built, err := buildinfo.ReadFile(program)
	if err != nil {
		return "of unknown version"
	}
	return built.Main.Version
}

// startWireGuard starts wireguard-go in both gateways with a TUN device, keys of
// this moment, and the routes that go through it. It is configured through its own
// socket, in its own words: https://www.wireguard.com/xplatform/.
func (l *Lab) startWireGuard() error {
	program, err := l.workshop.wireGuard()
	if err != nil {
		return fmt.Errorf("wireguard-go does not install: %w", err)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("wireguard-go needs a TUN device: %w", err)
	}
	var keys [2]*ecdh.PrivateKey
	for i := range keys {
		if keys[i], err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			return err
		}
	}
	for i, end := range []struct{ ns, peer, behind string }{
		{"gw-a", outsideB, siteB}, {"gw-b", outsideA, siteA},
	} {
		// Its sockets lie in one directory for all namespaces, so names must differ.
		device := fmt.Sprintf("wg%d%c", os.Getpid(), 'a'+i)
		p, err := l.Start(end.ns, []string{"LOG_LEVEL=error", "WG_PROCESS_FOREGROUND=1"}, program, "-f", device)
		if err != nil {
			return err
		}
		setting := fmt.Sprintf("set=1\nprivate_key=%s\nlisten_port=51820\npublic_key=%s\nendpoint=%s:51820\nallowed_ip=%s\n\n",
			hex.EncodeToString(keys[i].Bytes()), hex.EncodeToString(keys[1-i].PublicKey().Bytes()), end.peer, end.behind)
		if err := tellWireGuard("/var/run/wireguard/"+device+".sock", setting); err != nil {
			return fmt.Errorf("%w\n%s", err, p.Output())
		}
		for _, args := range [][]string{
			{"ip", "link", "set", "dev", device, "mtu", fmt.Sprint(l.HostMTU), "up"},
			{"ip", "route", "add", end.behind, "dev", device},
		} {
			if _, err := l.Run(end.ns, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellWireGuard waits for the socket, which is there a moment after the start.
func tellWireGuard(socket, setting string) error {
	var conn net.Conn
	var err error
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("configure wireguard-go: %w", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte(setting)); err != nil {
		return fmt.Errorf("configure wireguard-go: %w", err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if strings.TrimSpace(answer) != "errno=0" {
		return fmt.Errorf("configure wireguard-go: it answers %q (%v)", answer, err)
	}
	return nil
}
