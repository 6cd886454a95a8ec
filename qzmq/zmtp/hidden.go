package zmtp

import (
	"fmt"
	"log/slog"
)

// A Conn holds what its peer has said in clear, so it prints as what it is and
// no more.

// Format implements [fmt.Formatter] for every verb.
func (c *Conn) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[session]") }

// LogValue implements [slog.LogValuer].
func (c *Conn) LogValue() slog.Value { return slog.StringValue("[session]") }
