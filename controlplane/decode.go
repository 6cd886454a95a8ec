package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// The configuration is decoded by walking the YAML nodes rather than into
// tagged structs: a node knows its line, so that every mistake can be reported
// where it stands, and what a section takes is exactly what it accepts. The
// YAML package is the one that the YAML organisation maintains; it has no
// dependencies of its own.
//
//	decode.go          a text becomes a tree; mistakes are collected
//	decode_section.go  a mapping gives its keys, each once, none left over
//	decode_scalar.go   a scalar gives its text, expanded and of the right type
//	decode_gateway.go  the sections gateway and qzmq
//	decode_links.go    the section links
//	decode_relays.go   the section relays
//	decode_suite.go    what the handshake package judges: suite, mode, peer
//	decode_values.go   a text becomes a value

// decoder collects what is wrong with one file.
type decoder struct {
	file   string
	getenv func(string) string
	errs   []*ConfigError
}

// fail records a mistake; decoding goes on.
func (d *decoder) fail(line int, key, format string, args ...any) {
	d.errs = append(d.errs, &ConfigError{File: d.file, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// err joins the mistakes in the order of their lines.
func (d *decoder) err() error {
	slices.SortStableFunc(d.errs, func(a, b *ConfigError) int { return a.Line - b.Line })
	var errs []error
	for _, e := range d.errs {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// document makes a tree of the text, which must be exactly one YAML document.
// The root is nil in a file without content.
func (d *decoder) document(b []byte) (root *yaml.Node, ok bool) {
	if line := unreadable(b); line > 0 {
		d.fail(line, "", "this line is not plain UTF-8 text")
		return nil, false
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc, next yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, true
	}
	if err == nil {
		if err = dec.Decode(&next); err == nil {
			d.fail(next.Line, "", "a second document starts here; the file must hold one")
			return nil, false
		}
	}
	if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil, false
	}
	return doc.Content[0], true
}

// syntax reports that the text is not YAML. The YAML package has the line only
// in its message, and leaves it out when it is the first.
func (d *decoder) syntax(err error) {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if number, after, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok {
		if n, err := strconv.Atoi(number); err == nil {
			text, line = after, n
		}
	}
	d.fail(line, "", "not YAML near here: %s", text)
}

// unreadable finds the first line that holds bytes which the YAML package would
// refuse without saying where, 0 if there is none.
func unreadable(b []byte) int {
	for i, line := range bytes.Split(b, []byte("\n")) {
		control := func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\r' }
		if !utf8.Valid(line) || bytes.ContainsFunc(line, control) {
			return i + 1
		}
	}
	return 0
}
