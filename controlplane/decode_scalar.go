package controlplane

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// scalarKind is which YAML types a scalar may have.
type scalarKind struct {
	want string // for the operator
	tags []string
}

func aText() scalarKind         { return scalarKind{"text", []string{"!!str"}} }
func aNumber() scalarKind       { return scalarKind{"a number", []string{"!!int"}} }
func aBool() scalarKind         { return scalarKind{"true or false", []string{"!!bool"}} }
func aTextOrNumber() scalarKind { return scalarKind{"text or a number", []string{"!!str", "!!int"}} }

// required sets *to from a key that must be there, and returns its line.
func required[T any](s *section, key string, k scalarKind, to *T, convert func(string) (T, error)) int {
	line, there := optional(s, key, k, to, convert)
	if !there {
		s.missing(key)
	}
	return line
}

// optional sets *to from a key if it is there, in the environment or else in
// the file. After a mistake, which it reports, *to is as before.
func optional[T any](s *section, key string, k scalarKind, to *T, convert func(string) (T, error)) (line int, there bool) {
	e, path := s.take(key), s.child(key)
	if name, set := s.override(key); set != "" {
		if e.node != nil && !s.d.is(e.node, yaml.ScalarNode, k.want, path) {
			return e.line, true
		}
		v, err := convert(set)
		if err != nil {
			s.d.fail(e.line, path, "%v (from %s)", err, name)
			return e.line, true
		}
		*to = v
		return e.line, true
	}
	if e.node == nil {
		return e.line, false
	}
	if v, ok := scalar(s.d, e.node, path, k, convert); ok {
		*to = v
	}
	return e.node.Line, true
}

// override looks for a key in the environment.
func (s *section) override(key string) (name, value string) {
	if s.inList() {
		return "", ""
	}
	name = "QZMQ_" + strings.ToUpper(strings.ReplaceAll(s.child(key), ".", "_"))
	return name, s.d.getenv(name)
}

// scalar converts one scalar, or reports what is wrong with it.
func scalar[T any](d *decoder, n *yaml.Node, path string, k scalarKind, convert func(string) (T, error)) (T, bool) {
	var none T
	if !d.is(n, yaml.ScalarNode, k.want, path) {
		return none, false
	}
	value, expanded, err := d.expand(n.Value)
	if err != nil {
		d.fail(n.Line, path, "%v", err)
		return none, false
	}
	// What came from the environment has no YAML type; convert decides alone.
	if !expanded && !slices.Contains(k.tags, n.ShortTag()) {
		d.fail(n.Line, path, "want %s, got %s", k.want, describe(n))
		return none, false
	}
	v, err := convert(value)
	if err != nil {
		d.fail(n.Line, path, "%v", err)
		return none, false
	}
	return v, true
}

// expand replaces each ${QZMQ_NAME}. What comes in is not expanded again.
func (d *decoder) expand(s string) (out string, expanded bool, err error) {
	for {
		before, rest, found := strings.Cut(s, "${")
		out += before
		if !found {
			return out, expanded, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", false, fmt.Errorf("%q has no closing brace", "${"+rest)
		}
		if !strings.HasPrefix(name, "QZMQ_") {
			return "", false, fmt.Errorf("%q cannot be used: only names that start with QZMQ_ are expanded", "${"+name+"}")
		}
		value := d.getenv(name)
		if value == "" {
			return "", false, fmt.Errorf("%s is not set in the environment", name)
		}
		out, s, expanded = out+value, after, true
	}
}
