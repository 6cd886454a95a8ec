package controlplane

import (
	"errors"
	"fmt"
	"strings"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// mostKeysFile is the size in bytes of the largest file of authorised keys: about
// ten thousand of them.
const mostKeysFile = 1 << 20

// authorisedKey is one line of the file: a key, and the name by which links know it.
type authorisedKey struct {
	fingerprint handshake.Fingerprint
	name        string // empty for a key that no link asks for by name
}

// readAuthorisedKeys reads a file in which every line is
//
//	qz1... name
//
// a fingerprint, a space and a name, or a fingerprint alone. Empty lines, and those
// that start with #, are for people. A key stands there once; a name may have
// several keys, one of which takes over from another. A mistake anywhere refuses
// the whole file: a line that is skipped locks somebody out, or leaves somebody in.
func readAuthorisedKeys(path string) ([]authorisedKey, error) {
	text, err := readRegular(path, "the file of authorised keys", mostKeysFile, ownersAlone(path))
	if err != nil {
		return nil, err
	}
	keys, err := parseAuthorisedKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

var errNoKeys = errors.New("there are no keys in it")

func parseAuthorisedKeys(text string) ([]authorisedKey, error) {
	var keys []authorisedKey
	seen := map[handshake.Fingerprint]int{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		k, err := parseAuthorisedKey(line)
		if err == nil {
			if first, again := seen[k.fingerprint]; again {
				err = fmt.Errorf("the key is on line %d already", first)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		seen[k.fingerprint] = i + 1
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

func parseAuthorisedKey(line string) (k authorisedKey, err error) {
	fingerprint, name, named := strings.Cut(line, " ")
	if k.fingerprint, err = parsePeer(fingerprint); err != nil {
		return k, err
	}
	if named {
		k.name, err = parseName(name)
	}
	return k, err
}
