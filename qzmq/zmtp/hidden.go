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

// hidden is embedded in the other types that hold what somebody has said in clear.
type hidden struct{}

// Format implements [fmt.Formatter] for every verb.
func (hidden) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[private]") }

// LogValue implements [slog.LogValuer].
func (hidden) LogValue() slog.Value { return slog.StringValue("[private]") }
