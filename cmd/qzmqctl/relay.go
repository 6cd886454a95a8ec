package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/qzmq/gateway/controlplane"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/relay"
)

// ticketLifetime is how long programs that come back are known by a ticket, without
// signatures, after the last handshake that had some.
const ticketLifetime = 24 * time.Hour

// runRelay carries plain connections over sealed ones, or the other way round, until
// it is told to end. It needs no configuration and no rights.
func runRelay(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var (
		listen  = flags.String("listen", "", "")
		connect = flags.String("connect", "", "")
		peer    = flags.String("peer", "", "")
		allow   = flags.String("allow", "", "")
		service = flags.String("service", "", "")
	)
	var identities []string
	flags.Func("identity", "", func(file string) error { identities = append(identities, file); return nil })
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || len(identities) == 0 || *listen == "" || *connect == "" {
		return errUsage
	}
	cfg := relay.Config{Name: "relay", Log: slog.New(slog.NewTextHandler(stderr, nil))}
	var err1, err2 error
	cfg.Listen, err1 = relay.ParseEndpoint(*listen)
	cfg.Connect, err2 = relay.ParseEndpoint(*connect)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var ids []*handshake.Identity
	for _, file := range identities {
		id, err := controlplane.ReadIdentity(file)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	id := ids[0]
	var err error
	cfg.Handshake = handshake.Config{Identity: id, Service: *service, Clock: relay.SinceBoot}
	switch {
	case cfg.Listen.Sealed && (*peer != "" || *allow == ""):
		return fmt.Errorf("%v is for peers that call: --allow names them, and nobody is called who could be --peer", cfg.Listen)
	case cfg.Connect.Sealed && (*allow != "" || *peer == ""):
		return fmt.Errorf("%v is a peer that is called: --peer names it, and nobody calls whom to --allow", cfg.Connect)
	case cfg.Connect.Sealed && len(ids) > 1:
		return errors.New("whoever calls has one --identity")
	case cfg.Listen.Sealed:
		cfg.Handshake.MoreIdentities = ids[1:]
		peers, err := fingerprints(*allow)
		if err != nil {
			return err
		}
		if cfg.Handshake.ServerTickets, err = handshake.NewServerTickets(ticketLifetime); err != nil {
			return err
		}
		for _, id := range ids {
			for _, s := range suitesOf(id.Algorithm()) {
				if !slices.Contains(cfg.Handshake.Suites, s) {
					cfg.Handshake.Suites = append(cfg.Handshake.Suites, s)
				}
			}
		}
		cfg.Handshake.Authorize = func(f handshake.Fingerprint) bool { return slices.Contains(peers, f) }
	case cfg.Connect.Sealed:
		if cfg.Handshake.Peer, err = handshake.ParseFingerprint(*peer); err != nil {
			return fmt.Errorf("--peer %s: %w", *peer, err)
		}
		if cfg.Handshake.ClientTickets, err = handshake.NewClientTickets(ticketLifetime); err != nil {
			return err
		}
		cfg.Handshake.Reconnect = true
		cfg.Handshake.Suites = suitesOf(handshake.MLDSA44, handshake.MLDSA65, handshake.MLDSA87,
			handshake.Ed25519MLDSA44, handshake.Ed25519MLDSA65)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := relay.New(ctx, cfg)
	if err != nil {
		return err
	}
	cfg.Log.Info("relay started", "fingerprint", id.Fingerprint(), "listen", r.Endpoint(), "connect", cfg.Connect)
	r.Run(ctx)
	return nil
}

func fingerprints(list string) (all []handshake.Fingerprint, err error) {
	for text := range strings.SplitSeq(list, ",") {
		f, err := handshake.ParseFingerprint(text)
		if err != nil {
			return nil, fmt.Errorf("--allow %s: %w", text, err)
		}
		all = append(all, f)
	}
	return all, nil
}

// suitesOf gives the default suite for responders with keys of these algorithms.
func suitesOf(keys ...handshake.Signature) (suites []handshake.Suite) {
	for _, key := range keys {
		s := handshake.DefaultSuite()
		s.Sig = key
		suites = append(suites, s)
	}
	return suites
}
