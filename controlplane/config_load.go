package controlplane

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Load reads and checks a configuration file. Its errors are Parse's, or the
// one of reading the file.
func Load(path string, getenv func(string) string) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, b, getenv)
}

// Parse checks a configuration, which errors call name. All mistakes are
// reported at once, as one ConfigError each, joined in the order of their
// lines.
//
// A scalar may contain ${QZMQ_NAME}, which getenv (os.Getenv, for a program)
// expands; other names are refused, so that a file cannot pick up what happens
// to be in the environment. Between braces or brackets YAML wants it in quotes.
//
// A scalar outside a list may also come from the environment alone: its path in
// capitals, joined by underscores, after QZMQ_, so QZMQ_GATEWAY_OUTSIDE_PORT
// stands for gateway.outside.port. It wins over the file. A program whose flags
// set such keys answers for them in the getenv that it passes, which makes them
// win over both.
func Parse(name string, b []byte, getenv func(string) string) (*Config, error) {
	d := &decoder{file: name, getenv: getenv}
	var c *Config
	if root, ok := d.document(b); ok {
		c = d.config(root)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// ReadIdentity reads the gateway's identity and makes the checks of the
// configuration that need it: no link may have this gateway as its peer, and the
// certificate, the authorities, the authorised keys and the knocks must be what they
// are taken for. Failures are reported at the lines to blame, as by Parse.
func (c *Config) ReadIdentity() (*handshake.Identity, error) {
	id, a, err := c.readFiles(time.Now())
	if err == nil {
		err = c.unborne(a)
	}
	if err != nil {
		return nil, err
	}
	return id, nil
}

// readFiles is ReadIdentity with the authority, and without asking whether every
// name can be borne.
func (c *Config) readFiles(now time.Time) (*handshake.Identity, *authority, error) {
	id, err := ReadIdentity(c.Gateway.Identity)
	if err != nil {
		return nil, nil, &ConfigError{File: c.file, Line: c.identityLine, Key: "gateway.identity", Text: err.Error(), err: err}
	}
	own := id.Fingerprint()
	var errs []error
	for i, l := range c.Links {
		if l.Peer == own {
			errs = append(errs, &ConfigError{
				File: c.file, Line: c.peerLines[i], Key: fmt.Sprintf("links[%d].peer", i),
				Text: "is the fingerprint of this gateway's own identity",
			})
		}
	}
	if alg := id.Algorithm(); alg != c.QZMQ.DefaultSuite.Sig {
		errs = append(errs, c.blame(c.suiteLine, "qzmq.default_suite.sig",
			fmt.Errorf("is %v, and the key of gateway.identity is for %v", c.QZMQ.DefaultSuite.Sig, alg)))
	}
	a, err := c.readAuthority(id, now)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, nil, err
	}
	return id, a, nil
}

// ReadCertificate reads the gateway's certificate, for whoever wants to know until
// when it holds. It is nil if there is none.
func (c *Config) ReadCertificate() (*handshake.Certificate, error) {
	if c.Gateway.Certificate == "" {
		return nil, nil
	}
	certificate, err := ReadCertificate(c.Gateway.Certificate)
	if err != nil {
		return nil, c.blame(c.certificateLine, "gateway.certificate", err)
	}
	return certificate, nil
}

// blame reports what a file that the configuration names has wrong.
func (c *Config) blame(line int, key string, err error) error {
	return &ConfigError{File: c.file, Line: line, Key: key, Text: inWords(err).Error(), err: err}
}

// ConfigError is one mistake in a configuration file.
type ConfigError struct {
	File string // as given to Load or Parse
	Line int    // from 1
	Key  string // path of the key, such as links[0].routes[1]; empty if the text is no YAML
	Text string // what is wrong
	err  error  // what it came from, if that says more
}

// Error names file, line and key before what is wrong.
func (e *ConfigError) Error() string {
	if e.File == "" { // it is not from a file
		return e.Text
	}
	if e.Key == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Key, e.Text)
}

// Unwrap gives the failure of the operating system behind it, or nil.
func (e *ConfigError) Unwrap() error { return e.err }
