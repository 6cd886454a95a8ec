package zmtp

// A key update is the command KEYUPDATE, without data and last in its record,
// which is the last under the present key of its sender's direction. No answer is
// needed: the other direction has its own keys and its own time for them.

// updateKey adds the record that announces the next key to c.out, and takes it.
func (c *Conn) updateKey() error {
	c.out.command(updateName, nil, true, c.options.PadTo)
	c.out.end(c.options.PadTo)
	if err := c.out.seal(c.sealer); err != nil {
		return err
	}
	return c.sealer.Update()
}

// keyUpdated takes the peer's next key. One that comes too soon after the last is
// a fault of the peer: record.ErrUpdate.
func (c *Conn) keyUpdated(data []byte) error {
	if len(data) != 0 {
		return ErrCommand
	}
	if err := c.endRecord(); err != nil {
		return err
	}
	return c.opener.Update()
}

// Worn says that the session should be rotated: the keys of one direction near
// their end, after some 250 updates or because they could not be updated. It may
// be called from any goroutine.
func (c *Conn) Worn() bool { return c.worn.Load() }
