package controlplane

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// section is one mapping of the file. Its decoder takes the keys that it acts
// on and then calls end, for which whatever is left is a mistake.
type section struct {
	d    *decoder
	path string // empty for the whole file
	line int    // where a missing key is reported
	keys map[string]keyEntry

	broken bool // not even a mapping, which has been reported
}

// keyEntry is one key of a section and what stands behind it.
type keyEntry struct {
	line int // of the key
	node *yaml.Node
}

// open makes a section of a mapping. A nil node is a section that the file does
// not have: it is empty, and lacks every key that is required.
func (d *decoder) open(n *yaml.Node, path string, line int) *section {
	s := &section{d: d, path: path, line: line, keys: map[string]keyEntry{}}
	if n == nil {
		return s
	}
	if !d.is(n, yaml.MappingNode, "a mapping", path) {
		s.broken = true
		return s
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.ShortTag() != "!!str" {
			d.fail(k.Line, path, "a key must be text, not %s", describe(k))
			continue
		}
		if first, ok := s.keys[k.Value]; ok {
			d.fail(k.Line, s.child(k.Value), "duplicate key, the first is on line %d", first.line)
			continue
		}
		s.keys[k.Value] = keyEntry{line: k.Line, node: v}
	}
	return s
}

// end reports every key that nobody took.
func (s *section) end() {
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		s.d.fail(s.keys[key].line, s.child(key), "unknown key")
	}
}

// take removes a key from the section. Its node is nil if it is not there, and
// its line is then the section's.
func (s *section) take(key string) keyEntry {
	e, ok := s.keys[key]
	if !ok {
		return keyEntry{line: s.line}
	}
	delete(s.keys, key)
	return e
}

// section opens the mapping behind a key.
func (s *section) section(key string) *section {
	e := s.take(key)
	return s.d.open(e.node, s.child(key), e.line)
}

// line is where a key stands, or its section if it is not there.
func (d *decoder) line(s *section, key string) int {
	if e, ok := s.keys[key]; ok {
		return e.line
	}
	return s.line
}

// list gives the items behind a key, and whether the key is there at all. A
// list without items is a mistake: the key would better be left out.
func (s *section) list(key string) (items []*yaml.Node, there bool) {
	e := s.take(key)
	if e.node == nil {
		return nil, false
	}
	if !s.d.is(e.node, yaml.SequenceNode, "a list", s.child(key)) {
		return nil, true
	}
	if len(e.node.Content) == 0 {
		s.d.fail(e.line, s.child(key), "the list is empty")
	}
	return e.node.Content, true
}

// missing reports that a required key is not there.
func (s *section) missing(key string) {
	if s.broken {
		return // one mistake, one report
	}
	s.d.fail(s.line, s.child(key), "missing")
}

// later refuses keys that belong to the product but are not acted on yet: to
// accept them would promise something that does not happen.
func (s *section) later(keys ...string) {
	for _, key := range keys {
		if e := s.take(key); e.node != nil {
			s.d.fail(e.line, s.child(key), "not in this version")
		}
	}
}

// child is the path of a key in the section.
func (s *section) child(key string) string {
	if s.path == "" {
		return key
	}
	return s.path + "." + key
}

// inList says whether the section stands in a list, where no name in the
// environment can stand for its keys.
func (s *section) inList() bool { return strings.Contains(s.path, "[") }

// itemPath is the path of an item of a list.
func itemPath(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// is says whether a node is of a kind, and reports it if not.
func (d *decoder) is(n *yaml.Node, kind yaml.Kind, want, path string) bool {
	if n.Kind != kind {
		d.fail(n.Line, path, "want %s, got %s", want, describe(n))
		return false
	}
	return true
}

// describe names what a node is in an operator's words.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (write the value out)"
	}
	switch n.ShortTag() {
	case "!!str":
		return "text"
	case "!!int":
		return "a number"
	case "!!float":
		return "a number with a fraction or too large"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	case "!!null":
		return "nothing"
	}
	return "a value tagged " + n.ShortTag()
}
