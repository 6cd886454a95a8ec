package controlplane

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// RelayAlone is a relay without a gateway: what a configuration would say of it, and
// what stands there for all.
type RelayAlone struct {
	RelayConfig             // with at least one of Identities, and no name
	Authorities    []string // as in QZMQConfig
	AuthorisedKeys string
}

// Call sets whom the relay calls: a fingerprint, or a name where AuthorisedKeys or
// Authorities say who bears it.
func (r *RelayAlone) Call(peer string) (err error) {
	if r.Peer, err = handshake.ParseFingerprint(peer); err != nil && (len(r.Authorities) > 0 || r.AuthorisedKeys != "") {
		r.PeerName, err = parseName(peer)
	}
	return err
}

// Admit lets a caller in: a fingerprint, or a name where Authorities say who bears it,
// Anybody for all whom they name.
func (r *RelayAlone) Admit(caller string) error {
	key, err := handshake.ParseFingerprint(caller)
	if err == nil {
		r.Allow = append(r.Allow, key)
		return nil
	}
	if len(r.Authorities) == 0 {
		return err
	}
	if caller != Anybody {
		if _, err := parseName(caller); err != nil {
			return err
		}
	}
	r.AllowNames = append(r.AllowNames, caller)
	return nil
}

// Run carries until ctx ends. Each reload reads all files anew, and cuts whoever may
// not be there any more; with a mistake in one of them nothing changes, and the log
// names it.
func (r RelayAlone) Run(ctx context.Context, log *slog.Logger, reloads <-chan os.Signal) error {
	r.Name = "relay"
	guardMemory(log)
	cfg, id, a, err := r.read()
	if err == nil {
		err = r.unborne(a)
	}
	if err != nil {
		return err
	}
	p := &peering{identity: id, rotation: cfg.QZMQ.KeyRotation, log: log}
	if err := p.protect(cfg.QZMQ.AntiDoS, cfg.QZMQ.Resumption); err != nil {
		return err
	}
	rs := p.newRelays(a)
	if err := rs.open(cfg); err != nil {
		return err
	}
	if soon := expiring(a.relays[r.Name].certificate, time.Now()); soon != "" {
		log.Warn(soon)
	}
	files := descriptors()
	log.Info("relay started", "fingerprint", id.Fingerprint(), "listen", rs.list()[0].Endpoint(), "connect", r.Connect,
		"descriptors", files, "most_connections", files/descriptorsEach)

	done := make(chan struct{})
	go func() { rs.run(ctx); close(done) }()
	old := time.NewTicker(expireEvery)
	defer old.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-old.C:
			p.eachTickets(func(s tickets) { s.Expire(sinceBoot()) })
		case <-reloads:
			r.reload(rs)
		}
	}
}

// descriptorsEach is what a connection takes: one on either side.
const descriptorsEach = 2

// descriptors is how many the process may have. Go raises the soft limit to the hard one
// when a program starts.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic("controlplane: no limit of descriptors: " + err.Error())
	}
	return limit.Cur
}

func (r RelayAlone) reload(rs *relays) {
	log := rs.peering.log
	cfg, id, a, err := r.read()
	var next *nextRelays
	if err == nil {
		next, err = rs.prepare(cfg, a)
	}
	if err != nil {
		log.Error("the files were not reloaded, what they said stays in force", "reason", err)
		return
	}
	next.commit()
	rs.peering.eachTickets(func(s tickets) { s.RevokeAll() })
	if err := r.unborne(a); err != nil {
		log.Warn("nobody can be called until a key bears the peer's name again", "reason", err)
	}
	log.Info("files reloaded", "fingerprint", id.Fingerprint(), "keys_in_file", len(a.relays[r.Name].allowed)+len(a.keys))
}

// read makes the configuration with what applies where a file says nothing.
func (r RelayAlone) read() (*Config, *handshake.Identity, *authority, error) {
	id, err := ReadIdentity(r.Identities[0])
	if err != nil {
		return nil, nil, nil, err
	}
	cfg := &Config{
		Gateway: GatewayConfig{Identity: r.Identities[0]},
		QZMQ: QZMQConfig{
			Mode: handshake.ModeHybrid, DefaultSuite: withKey(handshake.DefaultSuite(), id),
			KeyRotation: RotationConfig{DefaultMaxMessages, DefaultMaxBytes, DefaultMaxAge},
			AntiDoS:     AntiDoSConfig{DefaultCookieTimeout, DefaultMaxConcurrent, CookieAuto},
			Resumption:  ResumptionConfig{Enabled: true, TicketLifetime: DefaultTicketLifetime},
			Authorities: r.Authorities, AuthorisedKeys: r.AuthorisedKeys,
		},
		Relays:         []RelayConfig{r.RelayConfig},
		authorityLines: make([]int, len(r.Authorities)),
	}
	a, err := cfg.readAuthority(id, time.Now())
	return cfg, id, a, err
}

// unborne reports a peer's name that nobody can bear. A relay does not start so; one
// that runs may come to it, when the last key of the name is revoked.
func (r RelayAlone) unborne(a *authority) error {
	if r.PeerName != "" && len(a.trusted) == 0 && len(a.keysOf(r.PeerName)) == 0 {
		return fmt.Errorf("%q has no key in %s, and there are no authorities", r.PeerName, r.AuthorisedKeys)
	}
	return nil
}
