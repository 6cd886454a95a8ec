package controlplane

import (
	"errors"
	"fmt"
	"strings"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// suite decodes the four names of the default suite, each of which may be left
// out.
func (d *decoder) suite(s *section, q *QZMQConfig) {
	keys := [4]string{"kem", "sig", "aead", "hash"}
	defaults := [4]string(strings.Split(handshake.DefaultSuite().String(), "/"))
	names := defaults
	for i, key := range keys {
		optional(s, key, aText(), &names[i], func(name string) (string, error) {
			// Alone among the defaults, a name answers for itself, so that a
			// mistake is reported on its own line.
			probe := defaults
			probe[i] = name
			return name, admissible(name, probe, q.Mode)
		})
	}
	suite, err := handshake.ParseSuite(names[0], names[1], names[2], names[3])
	if err != nil {
		d.fail(s.line, s.path, "%v", inWords(err))
	}
	q.DefaultSuite = suite
	s.end()
}

// admissible says what is wrong with a name that makes up a suite.
func admissible(name string, names [4]string, mode handshake.Mode) error {
	suite, err := handshake.ParseSuite(names[0], names[1], names[2], names[3])
	switch {
	case errors.Is(err, handshake.ErrUnknownSuite):
		return fmt.Errorf("%q is not in the registry of suites", name)
	case errors.Is(err, handshake.ErrSuiteNotBuilt):
		return fmt.Errorf("%q is not in this version", name)
	case err != nil:
		return inWords(err)
	case !mode.Admits(suite):
		return fmt.Errorf("%q is not allowed in mode %v", name, mode)
	}
	return nil
}

// parseMode takes the modes that the gateway acts on.
func parseMode(s string) (handshake.Mode, error) {
	m, err := handshake.ParseMode(s)
	if err != nil {
		return m, inWords(err)
	}
	if m != handshake.ModeHybrid {
		return m, fmt.Errorf("%q is not in this version", s)
	}
	return m, nil
}

// parsePeer takes a fingerprint. A wrong one is not repeated, because it may be
// a secret key that was pasted where its fingerprint belongs.
func parsePeer(s string) (handshake.Fingerprint, error) {
	f, err := handshake.ParseFingerprint(s)
	if err != nil {
		return f, errors.New("not a fingerprint, or one with a mistyped character: want the qz1... that qzmqctl fingerprint prints")
	}
	return f, nil
}

// inWords leaves the package name out of an error that is about the operator's
// file and not about a handshake.
func inWords(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "handshake: ")) }
