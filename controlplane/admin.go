package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin answers the operator over HTTP, by default on loopback only:
//
//	/metrics  Prometheus
//	/healthz  200 while the gateway runs
//	/readyz   200 when every link is up, else 503 with the names of those that are not
type admin struct {
	listener net.Listener
	server   *http.Server
}

func newAdmin(g *gateway) (*admin, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{g.peering.meter, &collector{g}} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var down []string
		for _, l := range g.peering.links {
			if !l.connected() {
				down = append(down, l.cfg.Name)
			}
		}
		if len(down) > 0 {
			http.Error(w, fmt.Sprint("links down: ", down), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	listener, err := net.Listen("tcp", g.cfg.Gateway.Admin.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("listen for the operator: %w", err)
	}
	return &admin{listener, &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}, nil
}

// serve serves until ctx ends.
func (a *admin) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { a.server.Close() })
	defer stop()
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
