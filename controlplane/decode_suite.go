package controlplane

import (
	"errors"
	"fmt"
	"strings"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// suite decodes the four names of a suite, each of which may be left out and is
// then that of *suite.
func (d *decoder) suite(s *section, mode handshake.Mode, to *handshake.Suite) {
	keys := [4]string{"kem", "sig", "aead", "hash"}
	names := [4]string(strings.Split(to.String(), "/"))
	// Alone in a suite that every mode admits, a name answers for itself, so that
	// a mistake is reported on its own line.
	safe := [4]string(strings.Split(handshake.DefaultSuite().String(), "/"))
	for i, key := range keys {
		optional(s, key, aText(), &names[i], func(name string) (string, error) {
			probe := safe
			probe[i] = name
			return name, admissible(name, probe, mode)
		})
	}
	suite, err := handshake.ParseSuite(names[0], names[1], names[2], names[3])
	if err != nil {
		d.fail(s.line, s.path, "%v", inWords(err))
	}
	*to = suite
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

// parseMode takes a mode by its name.
func parseMode(s string) (handshake.Mode, error) {
	m, err := handshake.ParseMode(s)
	if err != nil {
		return m, inWords(err)
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
