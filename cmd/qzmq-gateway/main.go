// Command qzmq-gateway carries traffic between sites, sealed under keys from a
// hybrid post-quantum handshake.
//
//	qzmq-gateway --config FILE          run until SIGINT or SIGTERM; SIGHUP reloads FILE
//	qzmq-gateway --config FILE --check  check the configuration and exit
//	qzmq-gateway --config FILE --keylog FILE
//	                                    run, and give the keys of all traffic away
//
// Exit codes: 0 fine, 1 it failed, 2 usage.
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
	"syscall"

	"github.com/qzmq/gateway/controlplane"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("qzmq-gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	config := flags.String("config", "", "the configuration `FILE`")
	check := flags.Bool("check", false, "check the configuration and exit")
	// No key of the configuration and no variable of the environment can do this.
	keyLogPath := flags.String("keylog", "", "append the keys of all traffic to this `FILE`, for debugging: whoever reads it reads everything")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *config == "" || flags.NArg() > 0 || *check && *keyLogPath != "" {
		fmt.Fprintln(stderr, "usage: qzmq-gateway --config FILE [--check | --keylog FILE]")
		return 2
	}
	cfg, err := controlplane.Load(*config, os.Getenv)
	if err == nil && *check {
		_, err = cfg.ReadIdentity()
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	if *check {
		fmt.Fprintf(stdout, "%s is fine\n", *config)
		return 0
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(stderr, nil))
	var keyLog io.Writer
	if *keyLogPath != "" {
		f, err := controlplane.OpenKeyLog(*keyLogPath, log)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		defer f.Close()
		keyLog = f
	}
	if err := controlplane.Run(ctx, cfg, log, keyLog, reloads(ctx, *config, log)); err != nil {
		log.Error("gateway failed", "reason", err)
		return 1
	}
	return 0
}

// reloads gives what the file says at each SIGHUP, unless it has mistakes.
func reloads(ctx context.Context, file string, log *slog.Logger) <-chan *controlplane.Config {
	hangups, out := make(chan os.Signal, 1), make(chan *controlplane.Config)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			cfg, err := controlplane.Load(file, os.Getenv)
			if err != nil {
				log.Error("the configuration was not reloaded, the one in force stays", "reason", err)
				continue
			}
			select {
			case out <- cfg:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
