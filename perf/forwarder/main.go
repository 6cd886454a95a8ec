// Command forwarder is one worker of our dataplane between two interfaces, in one
// direction and without a control plane: what arrives on INSIDE for site B of
// tools/testbed leaves sealed on OUTSIDE.
//
//	forwarder INSIDE OUTSIDE MAC
//
// Its key is known to everybody. Built with the tag nullcipher it only copies, which
// leaves AF_XDP, steering and the worker to be measured. MAC is where sealed
// packets go.
package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/dataplane/xsk"
	"github.com/qzmq/gateway/qzmq/record"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "forwarder:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: forwarder INSIDE OUTSIDE MAC")
	}
	inside, err := net.InterfaceByName(args[0])
	if err != nil {
		return err
	}
	outside, err := net.InterfaceByName(args[1])
	if err != nil {
		return err
	}
	next, err := net.ParseMAC(args[2])
	if err != nil {
		return err
	}
	in, err := xsk.Open(xsk.Config{Interface: inside.Name})
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := xsk.Open(xsk.Config{Interface: outside.Name})
	if err != nil {
		return err
	}
	defer out.Close()
	steer, err := steering(inside.Index, in.FD())
	if err != nil {
		return err
	}
	defer steer.Close()
	wake, err := xsk.NewWake()
	if err != nil {
		return err
	}
	defer wake.Close()
	engine := dataplane.NewEngine([]dataplane.Queue{{
		Inside: in, Outside: out, Wake: wake.Wake,
		Wait: func(d time.Duration) { xsk.Wait(d, wake, in, out) },
	}}, func(netip.Addr) {})
	if err := link(engine, dataplane.NewHop([6]byte(next), [6]byte(outside.HardwareAddr))); err != nil {
		return err
	}
	fmt.Println("forwarding")
	engine.Run(ctx)
	return nil
}

// siteB is what lies behind the far gateway of tools/testbed.
func siteB() netip.Prefix { return netip.MustParsePrefix("10.2.0.0/24") }

func steering(index, socket int) (*bpf.Inside, error) {
	p, err := bpf.LoadInside()
	if err != nil {
		return nil, err
	}
	if _, err := p.Attach(index, bpf.AttachNative); err != nil {
		return nil, err
	}
	if err := p.Register(0, socket); err != nil {
		return nil, err
	}
	return p, p.SetRoutes([]bpf.Route{{Prefix: siteB()}})
}

func link(e *dataplane.Engine, next dataplane.Hop) error {
	const name = "site-b"
	local, peer := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	e.SetRoutes(map[string][]netip.Prefix{name: {siteB()}})
	e.SetHops(map[netip.Addr]dataplane.Hop{}, map[netip.Addr]dataplane.Hop{peer: next})
	id, err := e.NewSession()
	if err != nil {
		return err
	}
	if err := e.Open(id, name, nil); err != nil {
		return err
	}
	keys := record.NewKeys(record.AES256GCM, record.SHA256, make([]byte, record.SHA256.Size()))
	return e.Install(id, dataplane.Path{
		Local: local, Peer: netip.AddrPortFrom(peer, 5580), WireMTU: 1500,
		Sealers: []*record.Sealer{record.NewSealer(keys, 1, 0)},
	})
}
