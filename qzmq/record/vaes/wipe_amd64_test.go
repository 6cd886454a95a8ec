package vaes

import "testing"

func TestWipe(t *testing.T) { each(t, testWipe) }

func testWipe(t *testing.T, w width) {
	s := newSource()
	c, _ := both(t, w, s.bytes(keySize))
	c.(interface{ Wipe() }).Wipe()
	if g := c.(*gcm); g.keys != (keys{}) {
		t.Errorf("round keys or powers are left")
	}
	nonce := s.bytes(nonceSize)
	panics(t, "a wiped key", func() { c.Seal(nil, nonce, nil, nil) })
	panics(t, "a wiped key", func() { c.Open(nil, nonce, make([]byte, tagSize), nil) })
}
