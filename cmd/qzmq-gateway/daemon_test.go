package main_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const adminAddress = "127.0.0.1:9580"

// daemon is a running gateway.
type daemon struct {
	*process
	b    *testbed
	at   site
	http *http.Client
}

// configure writes the configuration of a site, the one that we ship with lines
// added, and gives its path. It ends with the link, so lines indented by four
// belong to that.
func (b *testbed) configure(s site, more ...string) string {
	b.t.Helper()
	text, err := os.ReadFile("../../configs/site-" + s.name + ".yaml")
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.dir, "site-"+s.name+".yaml")
	all := strings.TrimSuffix(string(text), "\n") + "\n" + strings.Join(more, "\n") + "\n"
	if err := os.WriteFile(path, []byte(all), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// environment is what the shipped configurations ask for; AF_XDP on both sides,
// where they leave the choice; then what settings (NAME=value) say, which win.
func (b *testbed) environment(s site, settings ...string) []string {
	env := append(os.Environ(), "QZMQ_IDENTITY="+b.key(s.name), "QZMQ_PEER="+b.peers[s.other().name],
		"QZMQ_GATEWAY_INSIDE_IO=xdp", "QZMQ_GATEWAY_OUTSIDE_IO=xdp", "QZMQ_GATEWAY_ADMIN_SOCKET="+b.socket(s))
	return append(env, settings...)
}

// gateway starts the gateway of a site on the configuration of the last
// configure, with settings from the environment.
func (b *testbed) gateway(s site, settings ...string) *daemon {
	b.t.Helper()
	return b.gatewayOn(s, filepath.Join(b.dir, "site-"+s.name+".yaml"), settings...)
}

func (b *testbed) gatewayOn(s site, config string, settings ...string) *daemon {
	b.t.Helper()
	return b.gatewayWith(s, []string{"--config", config}, settings...)
}

func (b *testbed) gatewayWith(s site, args []string, settings ...string) *daemon {
	b.t.Helper()
	cmd := b.command(s.gateway, append([]string{"qzmq-gateway"}, args...)...)
	cmd.Env = b.environment(s, settings...)
	d := &daemon{process: start(b.t, cmd), b: b, at: s}
	dial := func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		e := b.enter(s.gateway, func() error {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp", adminAddress)
			return nil
		})
		if e != nil {
			return nil, e
		}
		return conn, err
	}
	d.http = &http.Client{
		Timeout:   3 * time.Second,
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("gateway %s has logged:\n%s\nand counted:\n%s", s.name, &d.out, d.counted())
		}
	})
	return d
}

// linked starts both gateways with the same settings and waits for their link.
func (b *testbed) linked(settings ...string) (a, z *daemon) {
	b.t.Helper()
	for _, s := range []site{siteA, siteB} {
		if _, err := os.Stat(filepath.Join(b.dir, "site-"+s.name+".yaml")); err != nil {
			b.configure(s)
		}
	}
	a, z = b.gateway(siteA, settings...), b.gateway(siteB, settings...)
	a.awaitReady()
	z.awaitReady()
	return a, z
}

// get asks the admin interface.
func (d *daemon) get(path string) (status int, body string, err error) {
	answer, err := d.http.Get("http://" + adminAddress + path)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

// counted is what the metrics show that is not zero, for failures.
func (d *daemon) counted() string {
	_, body, err := d.get("/metrics")
	if err != nil {
		return err.Error()
	}
	var some strings.Builder
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") && !strings.HasSuffix(line, " 0\n") && !strings.Contains(line, "_bucket{") {
			some.WriteString(line)
		}
	}
	return some.String()
}

// running fails the test if the gateway has ended.
func (d *daemon) running() {
	d.t.Helper()
	if d.ended() {
		d.t.Fatalf("gateway %s has ended: %v", d.at.name, d.err)
	}
}

// ready says whether every link is up.
func (d *daemon) ready() bool {
	d.t.Helper()
	d.running()
	status, _, err := d.get("/readyz")
	return err == nil && status == http.StatusOK
}

func (d *daemon) awaitReady() {
	d.t.Helper()
	d.b.within(10*time.Second, "gateway "+d.at.name+" is ready", d.ready)
}

// metrics are the samples of one scrape, by name and labels as Prometheus
// writes them.
type metrics map[string]float64

func (d *daemon) metrics() metrics {
	d.t.Helper()
	status, body, err := d.get("/metrics")
	if err != nil || status != http.StatusOK {
		d.t.Fatalf("metrics of gateway %s: status %d, %v\n%s", d.at.name, status, err, body)
	}
	m := metrics{}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			d.t.Fatalf("metrics of gateway %s: %q", d.at.name, line)
		}
		m[line[:cut]] = v
	}
	return m
}

// sum adds the samples of a metric that have all of the labels (name="value").
func (m metrics) sum(metric string, labels ...string) (total float64) {
	for name, v := range m {
		if m.matches(name, metric, labels) {
			total += v
		}
	}
	return total
}

// count is how many samples sum would add.
func (m metrics) count(metric string, labels ...string) (n int) {
	for name := range m {
		if m.matches(name, metric, labels) {
			n++
		}
	}
	return n
}

func (metrics) matches(name, metric string, labels []string) bool {
	if name != metric && !strings.HasPrefix(name, metric+"{") {
		return false
	}
	for _, l := range labels {
		if !strings.Contains(name, l) {
			return false
		}
	}
	return true
}

// since gives what has changed from an earlier scrape on.
func (m metrics) since(earlier metrics) metrics {
	changed := metrics{}
	for name, v := range m {
		if v != earlier[name] {
			changed[name] = v - earlier[name]
		}
	}
	return changed
}

// handshakes is how many this gateway has finished, in either part.
func (m metrics) handshakes() float64 { return m.sum("qzmq_handshakes_total", `result="ok"`) }

// failedHandshakes is how many came to nothing when others called.
func (m metrics) failedHandshakes() float64 {
	const responder = `role="responder"`
	return m.sum("qzmq_handshakes_total", responder) - m.sum("qzmq_handshakes_total", responder, `result="ok"`)
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// inMove says whether drops are the few that may come when a stream moves to another
// queue (SPREAD) while bulk flows: two workers have some of it for a moment.
func inMove(name string, n float64) bool {
	return strings.Contains(name, `reason="stream_busy"`) && n < 200
}

// isDrop says whether a sample counts packets that died in the gateway: in an
// XDP program, or in a worker.
func isDrop(name string) bool {
	if strings.HasPrefix(name, "qzmq_drops_total{") {
		return true
	}
	if !strings.HasPrefix(name, "qzmq_steering_packets_total{") {
		return false
	}
	for _, passed := range []string{"not_ip", "not_ours", "no_route", "local", "other_passed", "later_fragment", "control", "control_syn", "redirected"} {
		if strings.Contains(name, `exit="`+passed+`"`) {
			return false
		}
	}
	return true
}
