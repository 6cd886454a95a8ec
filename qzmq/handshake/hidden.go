package handshake

import (
	"errors"
	"fmt"
	"log/slog"
)

// hidden is embedded in every type that holds a secret, so that no format verb,
// logger or JSON encoder can print what is inside.
type hidden struct{}

// Format implements [fmt.Formatter] for every verb.
func (hidden) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[secret]") }

// LogValue implements [slog.LogValuer].
func (hidden) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText implements [encoding.TextMarshaler], which JSON uses too.
func (hidden) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// GobEncode implements [gob.GobEncoder], by refusing: gob asks for no text.
func (hidden) GobEncode() ([]byte, error) {
	return nil, errors.New("handshake: a secret is not to be encoded")
}
