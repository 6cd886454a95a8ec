package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/qzmq/record"
)

// Run starts the gateway and serves until ctx ends. Either all of it runs, or
// Run fails and nothing is left attached. On the way out links are closed in
// good order, and the guard stays in the kernel: what is protected must not
// leave in clear because the gateway is not running.
//
// The order of the start is that of safety: programs that know no route yet and
// so change nothing for any packet, the guard, the routes, the listener last. A
// start that fails for any other reason than another gateway leaves the guard.
//
// keyLog, for debugging, gets the keys of all that is carried; nil for no such thing.
// Each configuration from reloads takes the place of the one in force, if it can.
func Run(ctx context.Context, cfg *Config, log *slog.Logger, keyLog io.Writer, reloads <-chan *Config) (err error) {
	guardMemory(log)
	g, err := start(cfg, log, keyLog)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, g.interfaces.close())
		log.Info("gateway stopped; the kernel still blocks the protected routes",
			"to_release", fmt.Sprintf("ip rule flush protocol %d; ip -6 rule flush protocol %d", guardProtocol, guardProtocol))
	}()
	return g.run(ctx, reloads)
}

// gateway is everything that start made and run serves.
type gateway struct {
	cfg        *Config // of the start; a reload leaves its gateway section
	loaded     *Config // last, whole; run's alone
	log        *slog.Logger
	interfaces *interfaces
	engine     *dataplane.Engine
	resolver   *resolver
	peering    *peering
	relays     *relays
	control    net.Listener
	admin      *admin
	started    time.Time
}

func start(cfg *Config, log *slog.Logger, keyLog io.Writer) (g *gateway, err error) {
	g = &gateway{cfg: cfg, loaded: cfg, log: log, started: time.Now()}
	identity, authority, err := cfg.readFiles(time.Now())
	if err == nil {
		err = cfg.unborne(authority)
	}
	if err != nil {
		return nil, err
	}
	if soon := expiring(authority.certificate, time.Now()); soon != "" {
		log.Warn(soon)
	}
	c := &cfg.Gateway
	local, router4, router6, err := localPrefixes(c.Inside.Interface)
	if err != nil {
		return nil, err
	}
	routes, err := steeringRoutes(cfg.Links, local)
	if err != nil {
		return nil, err
	}
	g.interfaces, err = openInterfaces(c, log)
	if errors.Is(err, bpf.ErrInterfaceTaken) {
		return nil, err // another gateway runs here, and the guard is its own
	}
	if guardErr := syncGuard(c.Inside.Interface, guardRules(cfg.Links)); guardErr != nil {
		err = errors.Join(err, fmt.Errorf("block protected traffic while the gateway is not running: %w", guardErr))
	}
	if err != nil {
		if g.interfaces != nil {
			err = errors.Join(err, g.interfaces.close())
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.abandon())
		}
	}()

	g.engine = dataplane.NewEngine(g.interfaces.queues, func(dst netip.Addr) { g.resolver.want(insideSide, dst) })
	g.engine.SetRouter(router4, router6)
	g.engine.SetRoutes(linkRoutes(cfg.Links))
	if g.resolver, err = newResolver(log, c.Inside.Interface, c.Outside.Interface, g.engine.SetHops); err != nil {
		return g, err
	}
	if err = g.interfaces.inside.steer.SetRoutes(routes); err != nil {
		return g, err
	}
	g.peering = &peering{
		identity: identity,
		local:    netip.AddrPortFrom(c.Outside.Address, c.Outside.Port),
		rotation: cfg.QZMQ.KeyRotation,
		tempo:    usualTempo(),
		engine:   g.engine,
		steer:    g.interfaces.outside.steer,
		resolve:  func(peer netip.Addr) { g.resolver.want(outsideSide, peer) },
		wireMTU:  g.wireMTU,
		options:  options(c), udpChecksum: c.Outside.UDPChecksum,
		log:    log,
		meter:  newHandshakeMeter(),
		keyLog: keyLog, changes: make(chan change),
	}
	if err = g.peering.protect(cfg.QZMQ.AntiDoS, cfg.QZMQ.Resumption); err != nil {
		return g, err
	}
	policy, err := g.peering.newPolicy(authority, cfg.Links)
	if err != nil {
		return g, err
	}
	g.peering.adopt(policy)
	g.relays = g.peering.newRelays(authority)
	if err = g.relays.open(cfg); err != nil {
		return g, err
	}
	if g.admin, err = newAdmin(g); err != nil {
		return g, err
	}
	if g.control, err = net.Listen("tcp", g.peering.local.String()); err != nil {
		return g, fmt.Errorf("listen for control connections: %w", err)
	}
	for _, side := range g.interfaces.sides() {
		side.warn(log)
	}
	provider, fault := record.Provider()
	if fault != nil {
		log.Error("the faster AEAD that this program was built with is not used", "reason", fault)
	}
	in, out := &g.interfaces.inside, &g.interfaces.outside
	log.Info("gateway started", "name", c.Name, "fingerprint", identity.Fingerprint(), "aead", provider,
		"workers", g.engine.Streams(), "inside", c.Inside.Interface, "inside_io", in.io, "inside_io_because", in.why, "inside_mode", in.mode,
		"outside", c.Outside.Interface, "outside_io", out.io, "outside_io_because", out.why, "outside_mode", out.mode,
		"cpus", g.interfaces.cpus, "control", g.control.Addr(), "admin", g.admin.listener.Addr(), "socket", c.Admin.Socket, "links", len(cfg.Links), "relays", len(cfg.Relays), "descriptors", descriptors())
	return g, nil
}

// options are the features that this gateway offers its peers (SPEC.md 2.6).
func options(c *GatewayConfig) uint32 {
	if c.ShareRecords {
		return optionShare
	}
	return 0
}

// wireMTU is the largest outer packet that a peer may send here, in bytes: one
// that the outside carries, a chunk holds, and whose content fits the inside.
func (g *gateway) wireMTU() int {
	return min(g.resolver.mtu(outsideSide), g.interfaces.outside.mostWireMTU(),
		g.resolver.mtu(insideSide)+dataplane.Overhead(g.cfg.Gateway.Outside.Address))
}

// abandon undoes what start did before it failed.
func (g *gateway) abandon() error {
	if g.admin != nil {
		g.admin.close()
	}
	if g.relays != nil {
		g.relays.close()
	}
	if g.resolver != nil {
		g.resolver.close()
	}
	return g.interfaces.close()
}

// run serves until ctx ends. Packets are carried until the links have said
// goodbye.
func (g *gateway) run(ctx context.Context, reloads <-chan *Config) error {
	carrying, stop := context.WithCancel(context.WithoutCancel(ctx))
	var under sync.WaitGroup
	failed := make(chan error, 2)
	under.Go(func() { g.engine.Run(carrying) })
	under.Go(func() {
		if err := g.resolver.run(carrying); err != nil && carrying.Err() == nil {
			failed <- fmt.Errorf("next hops: %w", err)
		}
	})
	under.Go(func() {
		if err := g.admin.serve(carrying); err != nil {
			failed <- fmt.Errorf("admin: %w", err)
		}
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failure error
	var linked sync.WaitGroup
	linked.Go(func() { g.peering.run(ctx, g.control) })
	linked.Go(func() { g.relays.run(ctx) })
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case failure = <-failed:
			cancel()
		case next := <-reloads:
			g.reload(ctx, next)
		}
	}
	linked.Wait()
	stop()
	under.Wait()
	return failure
}

func guardRules(links []LinkConfig) []guardRule {
	var rules []guardRule
	for _, l := range links {
		var ports []PortRange
		if l.Other != OtherDrop {
			for _, s := range l.Services {
				ports = append(ports, s.Ports...)
			}
		}
		for _, prefix := range l.Routes {
			rules = append(rules, guardRule{route: prefix, services: ports})
		}
	}
	return rules
}

func linkRoutes(links []LinkConfig) map[string][]netip.Prefix {
	routes := map[string][]netip.Prefix{}
	for _, l := range links {
		routes[l.Name] = l.Routes
	}
	return routes
}
