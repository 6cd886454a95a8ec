package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/qzmq/gateway/controlplane"
	"github.com/qzmq/gateway/qzmq/relay"
)

// runRelay carries plain connections over sealed ones, or the other way round, until
// it is told to end. It needs no configuration and no rights. SIGHUP has it read its
// files anew.
func runRelay(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var r controlplane.RelayAlone
	var (
		listen     = flags.String("listen", "", "")
		connect    = flags.String("connect", "", "")
		peer       = flags.String("peer", "", "")
		allow      = flags.String("allow", "", "")
		authorised = flags.String("authorised", "", "")
	)
	flags.Func("identity", "", func(file string) error { r.Identities = append(r.Identities, file); return nil })
	flags.Func("ca", "", func(file string) error { r.Authorities = append(r.Authorities, file); return nil })
	flags.StringVar(&r.Certificate, "certificate", "", "")
	flags.StringVar(&r.Knock, "knock", "", "")
	flags.StringVar(&r.Service, "service", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || len(r.Identities) == 0 || *listen == "" || *connect == "" {
		return errUsage
	}
	var err1, err2 error
	r.Listen, err1 = relay.ParseEndpoint(*listen)
	r.Connect, err2 = relay.ParseEndpoint(*connect)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var err error
	switch {
	case r.Listen.Sealed && (*peer != "" || *allow == "" && *authorised == "" && len(r.Authorities) == 0):
		err = fmt.Errorf("%v is for peers that call: --allow names them, or --authorised, or --ca, and nobody is called who could be --peer", r.Listen)
	case r.Connect.Sealed && (*allow != "" || *peer == ""):
		err = fmt.Errorf("%v is a peer that is called: --peer names it, and nobody calls whom to --allow", r.Connect)
	case r.Connect.Sealed && len(r.Identities) > 1:
		err = errors.New("whoever calls has one --identity")
	case r.Listen.Sealed:
		r.AllowFile = *authorised
		err = admit(&r, *allow)
	case r.Connect.Sealed:
		r.AuthorisedKeys = *authorised
		if err = r.Call(*peer); err != nil {
			err = fmt.Errorf("--peer %s: %w", *peer, err)
		}
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return r.Run(ctx, slog.New(slog.NewTextHandler(stderr, nil)), hangups)
}

// admit reads who may call. An authority alone is everybody whom it certifies for that.
func admit(r *controlplane.RelayAlone, list string) error {
	if list == "" && r.AllowFile != "" {
		return nil
	}
	if list == "" {
		list = controlplane.Anybody
	}
	for text := range strings.SplitSeq(list, ",") {
		if err := r.Admit(text); err != nil {
			return fmt.Errorf("--allow %s: %w", text, err)
		}
	}
	return nil
}
