package record

import "sync"

const (
	// lastEpoch is the last that the epoch byte can say. It never wraps: the
	// session is replaced before, and a stream that gets there stops at the
	// limits of its last key.
	lastEpoch = 255
	// rotateEpoch is where a stream asks for a new session.
	rotateEpoch = lastEpoch - 15
)

// chain is a stream's traffic secret of one epoch, from which the next follows
// and the one before does not. Key derivation is slow beside sealing a record,
// so it is done ahead and away from the stream's owner.
type chain struct {
	hidden
	mu     sync.Mutex // guards what follows
	aead   AEAD
	hash   Hash
	limits Limits
	secret []byte
	epoch  uint8
}

// key derives the present epoch's key and iv.
func (c *chain) key() half {
	key := ExpandLabel(c.hash, c.secret, "key", nil, keyLen)
	defer clear(key)
	h := half{aead: c.aead.new(key), limits: c.limits}
	copy(h.iv[:], ExpandLabel(c.hash, c.secret, "iv", nil, nonceLen))
	return h
}

// advance goes on to the next epoch, wiping the secret of this one, and gives
// its key. The caller holds c.mu and knows that there is a next epoch.
func (c *chain) advance() half {
	next := ExpandLabel(c.hash, c.secret, "traffic upd", nil, c.hash.Size())
	clear(c.secret)
	c.secret = next
	c.epoch++
	return c.key()
}
