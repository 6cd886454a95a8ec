package qzmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Backend is the ZeroMQ below. There is one: this package.
type Backend int

// The backends, of which both are the same.
const (
	BackendAuto Backend = iota
	BackendGo
)

// Mode is what is demanded of the suite and of every peer's key.
type Mode int

// The modes.
const (
	ModeHybrid    Mode = iota // a hybrid KEM, and a signature that is or contains ML-DSA
	ModePQOnly                // ML-KEM and ML-DSA, alone or in a hybrid
	ModeClassical             // everything, also what a quantum computer breaks
)

// String gives the mode's name in configuration files.
func (m Mode) String() string { return handshake.Mode(m).String() }

// Role is the side of the handshake that a socket takes.
type Role int

// The roles.
const (
	RoleAuto      Role = iota // who binds is the responder
	RoleInitiator             // calls Options.Peer, also where it binds
	RoleResponder             // lets in who is allowed, also where it connects
)

// Options is what all sockets of a Transport have in common.
type Options struct {
	Backend Backend
	Suite   Suite
	Mode    Mode

	// Identity is who we are. It is needed, unless InsecurePlaintext is set.
	Identity *Identity
	// Peer is who a Connect expects at the other end; the socket option qzmq.peer has
	// another one for the endpoints that are connected after it.
	Peer Fingerprint
	// Allow and Authorize say who a Bind lets in: who is in Allow, and whom Authorize
	// returns nil for. With neither, and without Certificates, that is nobody.
	// Authorize runs for peers that have proved who they are, and may take its time.
	Allow     []Fingerprint
	Authorize func(ctx context.Context, peer Peer) error
	// Certificates let peers be known by name. nil is fine.
	Certificates *CertificateConfig
	// Service is what callers ask for and the only thing that listeners serve, such as the
	// service of a relay; both may leave it empty.
	Service string
	// Knock is a secret of listeners and their callers, without which nobody can find out
	// that a listener is there. nil is fine.
	Knock *handshake.Knock
	// Role is the side of the handshake that sockets take; leave it unless you have to.
	Role Role

	// InsecurePlaintext makes every connection plain ZMTP, mechanism NULL, for talking
	// to libzmq: no one is authenticated and nothing is encrypted. Nothing else does,
	// and no handshake falls back to it.
	InsecurePlaintext bool

	// KeyRotation is when sessions are replaced by new ones; zeros are the defaults.
	KeyRotation KeyRotationPolicy
	// AntiDoS asks callers to prove their address, by a cookie, when many handshakes
	// are under way.
	AntiDoS bool
	// ZeroRTT lets messages whose first part is one of SafeTopics travel with the
	// first flight of a reconnection, up to MaxEarlyData bytes (0 is 16 KiB). Both
	// sides need it. Such a message may be repeated when a reconnection fails.
	ZeroRTT      bool
	SafeTopics   []string
	MaxEarlyData uint32

	Timeouts TimeoutConfig
	// Log is told of connections and of handshakes that fail. nil is silence.
	Log *slog.Logger
}

// KeyRotationPolicy is when a session is replaced by a new one, whichever comes first.
type KeyRotationPolicy struct {
	MaxMessages uint64 // records, each of one or more messages
	MaxBytes    uint64
	MaxAge      time.Duration
}

// CertificateConfig is how peers are known by name rather than by fingerprint. There
// is no mode that does not verify.
type CertificateConfig struct {
	CACert []byte // the file of the authority that is trusted to name peers
	Cert   []byte // the file of the certificate for Options.Identity; nil for none
	// PeerName is what the certificate of who is called must say; Options.Peer may then
	// be left out.
	PeerName string
	// AllowNames are let in where we are called.
	AllowNames []string
}

// TimeoutConfig has the times that sockets begin with.
type TimeoutConfig struct {
	Handshake time.Duration // for a connection to become a session; 0 is 30 s
	Heartbeat time.Duration // between two heartbeats; 0 is none
	// Linger is how long Close waits for messages to be sent; 0 is not at all, and
	// negative for ever.
	Linger time.Duration
}

// DefaultOptions is the default suite, x25519+mlkem768/mldsa44/aes256gcm/sha256, in
// mode hybrid.
func DefaultOptions() Options {
	return Options{
		Suite:        Suite{HybridX25519MLKEM768, MLDSA44, AES256GCM, SHA256},
		Mode:         ModeHybrid,
		KeyRotation:  KeyRotationPolicy{MaxMessages: 1 << 32, MaxBytes: 1 << 40, MaxAge: 10 * time.Minute},
		AntiDoS:      true,
		MaxEarlyData: handshake.MaxEarlyData,
		Timeouts:     TimeoutConfig{Handshake: 5 * time.Second, Heartbeat: 30 * time.Second, Linger: time.Second},
	}
}

// ConservativeOptions is ML-KEM-1024 and ML-DSA-65 alone, with keys of up to 5 minutes.
// Its identities are made with GenerateIdentityFor(MLDSA65) or stronger.
func ConservativeOptions() Options {
	o := DefaultOptions()
	o.Suite = Suite{MLKEM1024, MLDSA65, AES256GCM, SHA384}
	o.Mode = ModePQOnly
	o.KeyRotation.MaxMessages = 1 << 20
	o.KeyRotation.MaxAge = 5 * time.Minute
	return o
}

// PerformanceOptions is as secure as DefaultOptions, since speed does not come from
// weaker keys: those cost one handshake, and what seals messages is AES-256-GCM, with
// vector instructions where the processor has them. It pings less.
func PerformanceOptions() Options {
	o := DefaultOptions()
	o.Timeouts.Heartbeat = 0
	return o
}

// check says what is wrong with the options, naming it.
func (o *Options) check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrInvalidOptions, fmt.Errorf(format, args...))
	}
	switch {
	case o.Backend != BackendAuto && o.Backend != BackendGo:
		return fmt.Errorf("%w: %d", ErrBackendUnavailable, int(o.Backend))
	case o.Mode < ModeHybrid || o.Mode > ModeClassical:
		return wrong("Mode is %d, which is none", int(o.Mode))
	case o.Role < RoleAuto || o.Role > RoleResponder:
		return wrong("Role is %d, which is none", int(o.Role))
	case len(o.Service) > handshake.MaxService:
		return wrong("Service has %d bytes, at most %d", len(o.Service), handshake.MaxService)
	case o.KeyRotation.MaxAge < 0 || o.Timeouts.Handshake < 0 || o.Timeouts.Heartbeat < 0:
		return wrong("a time is negative")
	case o.MaxEarlyData > handshake.MaxEarlyData:
		return wrong("MaxEarlyData is %d, at most %d", o.MaxEarlyData, handshake.MaxEarlyData)
	case o.ZeroRTT && len(o.SafeTopics) == 0:
		return wrong("ZeroRTT without SafeTopics lets nothing be early")
	case o.InsecurePlaintext && (o.Identity != nil || !o.Peer.IsZero() || len(o.Allow) > 0 || o.Authorize != nil || o.Certificates != nil):
		return wrong("InsecurePlaintext authenticates nobody, so an identity, a peer or who may in makes no sense beside it")
	case o.InsecurePlaintext:
		return nil
	case o.Identity == nil:
		return wrong("there is no Identity; GenerateIdentity makes one, and InsecurePlaintext does without")
	case !o.Peer.IsZero() && o.Peer == o.Identity.Fingerprint():
		return wrong("Peer is our own Identity: each side has its own")
	}
	_, err := o.Suite.offered(handshake.Mode(o.Mode))
	if err != nil {
		return err
	}
	if o.Certificates != nil && len(o.Certificates.CACert) == 0 {
		return wrong("Certificates without CACert: %w", errors.New("no authority is trusted"))
	}
	return nil
}
