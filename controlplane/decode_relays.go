package controlplane

import (
	"fmt"
	"slices"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/relay"
)

// relays decodes the section relays.
func (d *decoder) relays(root *section, c *Config) {
	items, _ := root.list("relays")
	names, listens := map[string]string{}, map[relay.Endpoint]string{}
	for i, n := range items {
		s := d.open(n, itemPath("relays", i), n.Line)
		r := RelayConfig{lines: relayLines{item: n.Line}}
		required(s, "name", aText(), &r.Name, unique(names, s.child("name"), parseName))
		required(s, "listen", aText(), &r.Listen, unique(listens, s.child("listen"), relay.ParseEndpoint))
		line := required(s, "connect", aText(), &r.Connect, relay.ParseEndpoint)
		optional(s, "service", aText(), &r.Service, parseService)
		d.relayFiles(s, &r)
		d.callee(s, c, &r)
		d.guests(s, c, &r)
		d.relayRules(s, &r)
		if r.Listen.Network != "" && r.Connect.Network != "" && r.Listen.Sealed == r.Connect.Sealed {
			d.fail(line, s.child("connect"), "one of listen and connect is plain and the other one sealed, qzmq+tcp:// or qzmq+ipc://")
		}
		s.end()
		c.Relays = append(c.Relays, r)
	}
}

// relayFiles decodes who a relay is.
func (d *decoder) relayFiles(s *section, r *RelayConfig) {
	items, _ := s.list("identities")
	seen := map[string]string{}
	for i, n := range items {
		path := itemPath(s.child("identities"), i)
		if i == 1 && r.Connect.Sealed {
			d.fail(n.Line, path, "whoever calls has one identity")
		}
		if file, ok := scalar(d, n, path, aText(), unique(seen, path, parsePath)); ok {
			r.Identities = append(r.Identities, file)
			r.lines.identities = append(r.lines.identities, n.Line)
		}
	}
	if line, there := optional(s, "certificate", aText(), &r.Certificate, parsePath); there {
		r.lines.certificate = line
	}
	if line, there := optional(s, "knock", aText(), &r.Knock, parsePath); there {
		r.lines.knock = line
	}
}

// callee decodes whom a relay calls that connects sealed.
func (d *decoder) callee(s *section, c *Config, r *RelayConfig) {
	line, pinned := optional(s, "peer", aText(), &r.Peer, parsePeer)
	nameLine, named := optional(s, "peer_name", aText(), &r.PeerName, c.parseBearer)
	switch {
	case r.Connect.Network == "": // reported already
	case r.Connect.Sealed && !pinned && !named:
		s.missing("peer")
	case !r.Connect.Sealed && pinned:
		d.fail(line, s.child("peer"), "nobody is called at %v; callers stand in allow", r.Connect)
	case !r.Connect.Sealed && named:
		d.fail(nameLine, s.child("peer_name"), "nobody is called at %v; callers stand in allow", r.Connect)
	}
}

// guests decodes who may call a relay that listens sealed: keys and names, and a file
// of keys.
func (d *decoder) guests(s *section, c *Config, r *RelayConfig) {
	fileLine, file := optional(s, "allow_file", aText(), &r.AllowFile, parsePath)
	if file {
		r.lines.allowFile = fileLine
	}
	line := d.line(s, "allow")
	items, there := s.list("allow")
	switch {
	case r.Listen.Network == "": // reported already
	case r.Listen.Sealed && !there && !file:
		s.missing("allow")
	case !r.Listen.Sealed && file:
		d.fail(fileLine, s.child("allow_file"), "nobody has to be allowed who calls at %v", r.Listen)
	case !r.Listen.Sealed && there:
		d.fail(line, s.child("allow"), "nobody has to be allowed who calls at %v", r.Listen)
	}
	seen := map[string]string{}
	for i, n := range items {
		path := itemPath(s.child("allow"), i)
		scalar(d, n, path, aText(), unique(seen, path, func(v string) (string, error) {
			if key, err := handshake.ParseFingerprint(v); err == nil {
				r.Allow = append(r.Allow, key)
				return v, nil
			}
			err := c.bearable(v)
			if err == nil && v != Anybody {
				_, err = parseName(v)
			}
			if err != nil {
				return v, fmt.Errorf("%w, and it is no fingerprint", err)
			}
			r.AllowNames = append(r.AllowNames, v)
			return v, nil
		}))
	}
}

// relayRules decodes what some of those who may call are bound to.
func (d *decoder) relayRules(s *section, r *RelayConfig) {
	items, _ := s.list("rules")
	seen := map[string]string{}
	for i, n := range items {
		one := d.open(n, itemPath(s.child("rules"), i), n.Line)
		var rules RelayRules
		required(one, "peer", aText(), &rules.PeerName, unique(seen, one.child("peer"), func(v string) (string, error) {
			key, err := handshake.ParseFingerprint(v)
			rules.Peer = key
			known := v == Anybody || r.AllowFile != "" || slices.Contains(r.AllowNames, v) || slices.Contains(r.AllowNames, Anybody)
			if !known && (err != nil || !slices.Contains(r.Allow, key)) {
				return v, fmt.Errorf("%q is not in allow", v)
			}
			return v, nil
		}))
		if !rules.Peer.IsZero() {
			rules.PeerName = ""
		}
		rules.SocketTypes = d.texts(one, "socket_types")
		rules.Identities = d.texts(one, "identities")
		rules.Topics = d.texts(one, "topics")
		one.end()
		r.Rules = append(r.Rules, rules)
	}
}

// texts gives the texts of a list, nil when there is no such key and then only.
func (d *decoder) texts(s *section, key string) []string {
	items, there := s.list(key)
	if !there {
		return nil
	}
	texts := []string{}
	for i, n := range items {
		if v, ok := scalar(d, n, itemPath(s.child(key), i), aText(), func(v string) (string, error) { return v, nil }); ok {
			texts = append(texts, v)
		}
	}
	return texts
}

// parseBearer takes a name that somebody can bear.
func (c *Config) parseBearer(v string) (string, error) {
	if err := c.bearable(v); err != nil {
		return "", err
	}
	return parseName(v)
}

func (c *Config) bearable(v string) error {
	if len(c.QZMQ.Authorities) == 0 && c.QZMQ.AuthorisedKeys == "" {
		return fmt.Errorf("%q is a name that nobody can bear: there are neither qzmq.authorities nor qzmq.authorised_keys", v)
	}
	return nil
}

func parseService(v string) (string, error) {
	if v == "" || len(v) > handshake.MaxService {
		return "", fmt.Errorf("the name of a service has 1 to %d bytes", handshake.MaxService)
	}
	return v, nil
}
