package qzmq

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
)

func TestOptionsAreChecked(t *testing.T) {
	id, other := identity(t), identity(t)
	strong, err := GenerateIdentityFor(MLDSA65)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(o *Options)
		want   string // in the error; empty for none
	}{
		"default":       {func(o *Options) {}, ""},
		"no identity":   {func(o *Options) { o.Identity = nil }, "Identity"},
		"backend":       {func(o *Options) { o.Backend = 7 }, "no such backend"},
		"mode":          {func(o *Options) { o.Mode = 9 }, "Mode is 9"},
		"BLAKE3":        {func(o *Options) { o.Suite.Hash = BLAKE3 }, "BLAKE3"},
		"no KEM":        {func(o *Options) { o.Suite.KEM = 9 }, "Suite.KEM is 9"},
		"classical KEM": {func(o *Options) { o.Suite.KEM = X25519 }, "mode hybrid does not admit"},
		"classical":     {func(o *Options) { o.Suite.KEM, o.Mode = X25519, ModeClassical }, ""},
		"pq-only":       {func(o *Options) { o.Suite.KEM, o.Mode = MLKEM768, ModePQOnly }, ""},
		"pq-only Ed":    {func(o *Options) { o.Suite.Sign, o.Mode = Ed25519, ModePQOnly }, "does not admit"},
		"oneself":       {func(o *Options) { o.Peer = id.Fingerprint() }, "our own"},
		"plaintext too": {func(o *Options) { o.InsecurePlaintext = true }, "InsecurePlaintext"},
		"early":         {func(o *Options) { o.ZeroRTT = true }, "SafeTopics"},
		"early bytes":   {func(o *Options) { o.MaxEarlyData = 1 << 20 }, "MaxEarlyData"},
		"no authority":  {func(o *Options) { o.Certificates = &CertificateConfig{} }, "CACert"},
		"bad authority": {func(o *Options) { o.Certificates = &CertificateConfig{CACert: []byte("x")} }, "CACert"},
		"timeout":       {func(o *Options) { o.Timeouts.Handshake = -1 }, "negative"},
		"conservative":  {func(o *Options) { *o = ConservativeOptions(); o.Identity = strong }, ""},
		"performance":   {func(o *Options) { *o = PerformanceOptions(); o.Identity = other }, ""},
	} {
		o := DefaultOptions()
		o.Identity = id
		test.change(&o)
		tr, err := New(o)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !errors.Is(err, ErrInvalidOptions) && !errors.Is(err, ErrBackendUnavailable)):
			t.Errorf("%s: %v, want one with %q", name, err, test.want)
		}
		if tr != nil {
			tr.Close()
		}
	}
	if _, err := New(Options{}); !errors.Is(err, ErrInvalidOptions) {
		t.Errorf("empty options: %v", err)
	}
	if p := PerformanceOptions(); p.Suite != DefaultOptions().Suite || p.Mode != ModeHybrid {
		t.Error("performance is bought with weaker keys")
	}
}

func TestBindNeedsAKeyOfTheSuite(t *testing.T) {
	o := ConservativeOptions()
	o.Identity = identity(t) // ML-DSA-44
	o.Allow = []Fingerprint{{1}}
	s := open(t, site(t, o), PULL)
	if err := s.Bind("tcp://127.0.0.1:*"); !errors.Is(err, ErrInvalidOptions) || !strings.Contains(err.Error(), "mldsa44") {
		t.Errorf("%v", err)
	}
	if err := s.Connect("tcp://127.0.0.1:1"); !errors.Is(err, ErrInvalidOptions) || !strings.Contains(err.Error(), "who is called") {
		t.Errorf("%v", err)
	}
}

func TestIdentityFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	id := identity(t)
	if err := SaveIdentity(path, id); err != nil {
		t.Fatal(err)
	}
	if err := SaveIdentity(path, id); !errors.Is(err, os.ErrExist) {
		t.Errorf("a key file is written over: %v", err)
	}
	got, err := LoadIdentity(path)
	if err != nil || got.Fingerprint() != id.Fingerprint() {
		t.Fatalf("%v", err)
	}
	if f, err := ParseFingerprint(id.Fingerprint().String()); err != nil || f != id.Fingerprint() {
		t.Errorf("%v", err)
	}
	os.Chmod(path, 0o640)
	if _, err := LoadIdentity(path); !errors.Is(err, ErrInvalidOptions) {
		t.Errorf("a file that others read: %v", err)
	}
	os.Chmod(path, 0o600)
	os.WriteFile(path, []byte("x"), 0o600)
	if _, err := LoadIdentity(path); !errors.Is(err, handshake.ErrKeyFile) {
		t.Errorf("no key: %v", err)
	}
	if _, err := LoadIdentity(t.TempDir()); err == nil {
		t.Error("a directory is a key")
	}
}
