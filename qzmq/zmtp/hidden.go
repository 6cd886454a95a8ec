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

// Format implements [fmt.Formatter] for every verb: a Door holds an identity and
// perhaps a knock.
func (d *Door) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[door]") }

// LogValue implements [slog.LogValuer].
func (d *Door) LogValue() slog.Value { return slog.StringValue("[door]") }
