package controlplane

import (
	"errors"
	"fmt"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// CreateKnock makes a new knock and writes it to a new file that only its owner can
// read. It never replaces a file. On an error there is no file.
func CreateKnock(path string) error {
	knock, err := handshake.GenerateKnock()
	if err != nil {
		return fmt.Errorf("making a knock: %w", err)
	}
	return createSecret(path, knock.MarshalFile())
}

// ReadKnock reads a knock's file, under the rules of ReadIdentity.
func ReadKnock(path string) (*handshake.Knock, error) {
	return readSecret(path, "the knock", handshake.ParseKnockFile)
}

// readKnocks reads what callers have to know here, nil for nothing, and what this
// gateway has to know at its peers, by link.
func (c *Config) readKnocks() (own *handshake.Knock, peers map[string]*handshake.Knock, err error) {
	var errs []error
	read := func(path string, line int, key string) *handshake.Knock {
		if path == "" {
			return nil
		}
		knock, err := ReadKnock(path)
		if err != nil {
			errs = append(errs, c.blame(line, key, err))
			return nil
		}
		return knock
	}
	own = read(c.Gateway.Knock, c.knockLine, "gateway.knock")
	peers = map[string]*handshake.Knock{}
	for i, l := range c.Links {
		peers[l.Name] = read(l.Knock, c.knockLines[i], itemPath("links", i)+".knock")
	}
	return own, peers, errors.Join(errs...)
}
