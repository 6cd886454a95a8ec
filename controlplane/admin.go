package controlplane

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin answers the operator over HTTP, on an address that by default is on
// loopback and on a unix socket that is root's:
//
//	/         a page that shows /status live
//	/status   everything, in JSON: Status
//	/metrics  Prometheus
//	/healthz  200 while the gateway runs
//	/readyz   200 when every link is up, else 503 with the names of those that are not
//
// Neither asks for a password, so what changes something is for the socket alone:
//
//	POST /rotate/LINK  has the link's session replaced
type admin struct {
	listener, socket net.Listener
	server, local    *http.Server
}

//go:embed page.html
var page []byte

func newAdmin(g *gateway) (*admin, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{g.peering.meter, &collector{g}} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	socket, err := listenSocket(g.cfg.Gateway.Admin.Socket)
	if err != nil {
		return nil, fmt.Errorf("gateway.admin.socket: %w", err)
	}
	listener, err := net.Listen("tcp", g.cfg.Gateway.Admin.Listen.String())
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("listen for the operator: %w", err)
	}
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return &admin{
		listener: listener, server: newServer(g.questions(metrics, g.refuse)),
		socket: socket, local: newServer(g.questions(metrics, g.rotate)),
	}, nil
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

// questions is what both doors answer alike, and rotate, in which they differ.
func (g *gateway) questions(metrics http.Handler, rotate http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var down []string
		for _, l := range g.peering.policy.Load().links {
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
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		status, err := g.status()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(status) // who has gone away needs no answer
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		w.Write(page)
	})
	mux.HandleFunc("POST /rotate/{link}", rotate)
	return mux
}

// refuse is rotate where anybody on this machine, or a page in their browser, can
// ask.
func (g *gateway) refuse(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "sessions are rotated over the socket only: "+g.cfg.Gateway.Admin.Socket, http.StatusForbidden)
}

func (g *gateway) rotate(w http.ResponseWriter, r *http.Request) {
	l := g.peering.policy.Load().links[r.PathValue("link")]
	if l == nil {
		http.Error(w, fmt.Sprintf("there is no link %q", r.PathValue("link")), http.StatusNotFound)
		return
	}
	if err := l.rotate("the operator asks for it"); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// serve serves until ctx ends.
func (a *admin) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, a.close)
	defer stop()
	ended := make(chan error, 2)
	go func() { ended <- a.server.Serve(a.listener) }()
	go func() { ended <- a.local.Serve(a.socket) }()
	first := <-ended
	a.close()
	for _, err := range []error{first, <-ended} {
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// close ends both doors, at once, and removes the socket.
func (a *admin) close() {
	a.server.Close()
	a.local.Close()
	a.listener.Close() // which a server that was never started does not know
	a.socket.Close()
}
