package controlplane

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// config decodes the whole file.
func (d *decoder) config(root *yaml.Node) *Config {
	s := d.open(root, "", 1)
	c := &Config{file: d.file}
	if s.broken {
		return c
	}
	d.gateway(s.section("gateway"), c)
	d.qzmq(s.section("qzmq"), c)
	d.links(s, c)
	d.relays(s, c)
	s.end()
	return c
}

func (d *decoder) gateway(s *section, c *Config) {
	g := &c.Gateway
	*g = GatewayConfig{Attach: AttachAuto, ZeroCopy: ZeroCopyAuto, Pin: PinAuto, RSS: RSSAuto, ShareRecords: true}
	required(s, "name", aText(), &g.Name, parseName)
	c.identityLine = required(s, "identity", aText(), &g.Identity, parsePath)
	if line, there := optional(s, "certificate", aText(), &g.Certificate, parsePath); there {
		c.certificateLine = line
	}
	if line, there := optional(s, "knock", aText(), &g.Knock, parsePath); there {
		c.knockLine = line
	}
	d.inside(s.section("inside"), &g.Inside)
	d.outside(s.section("outside"), &g.Outside, g.Inside)
	optional(s, "workers", aTextOrNumber(), &g.Workers, parseWorkers)
	optional(s, "attach", aText(), &g.Attach, oneOf(AttachAuto, AttachNative, AttachGeneric))
	optional(s, "zero_copy", aText(), &g.ZeroCopy, oneOf(ZeroCopyAuto, ZeroCopyOn, ZeroCopyOff))
	optional(s, "busy_poll_us", aNumber(), &g.BusyPoll, duration(0, time.Second, time.Microsecond))
	optional(s, "pin", aText(), &g.Pin, oneOf(PinAuto, PinOn, PinOff))
	optional(s, "rss", aText(), &g.RSS, oneOf(RSSAuto, RSSOff))
	optional(s, "share_records", aBool(), &g.ShareRecords, parseBool)
	d.admin(s.section("admin"), &g.Admin)
	s.end()
}

func (d *decoder) inside(s *section, in *InsideConfig) {
	in.IO = IOAuto
	required(s, "interface", aText(), &in.Interface, parseInterface)
	optional(s, "io", aText(), &in.IO, oneOf(IOAuto, IOXDP, IOSuperframe))
	s.end()
}

func (d *decoder) outside(s *section, out *OutsideConfig, in InsideConfig) {
	out.IO, out.Port = IOAuto, DefaultPort
	required(s, "interface", aText(), &out.Interface, func(v string) (string, error) {
		if v == in.Interface {
			// Each interface gets one of two XDP programs; they do not go together.
			return "", fmt.Errorf("%q is the inside interface too", v)
		}
		return parseInterface(v)
	})
	required(s, "address", aText(), &out.Address, parseHostAddress)
	optional(s, "io", aText(), &out.IO, oneOf(IOAuto, IOXDP, IOSuperframe))
	optional(s, "port", aNumber(), &out.Port, parsePort)
	optional(s, "udp_checksum", aBool(), &out.UDPChecksum, parseBool)
	s.end()
}

func (d *decoder) admin(s *section, a *AdminConfig) {
	a.Listen, a.Socket = netip.MustParseAddrPort("127.0.0.1:9580"), DefaultSocket
	optional(s, "listen", aText(), &a.Listen, parseAddrPort)
	optional(s, "socket", aText(), &a.Socket, parseSocket)
	s.end()
}

func (d *decoder) qzmq(s *section, c *Config) {
	q := &c.QZMQ
	*q = QZMQConfig{Mode: handshake.ModeHybrid, DefaultSuite: handshake.DefaultSuite()}
	var enabled bool
	optional(s, "enabled", aBool(), &enabled, func(v string) (bool, error) {
		if !strings.EqualFold(v, "true") {
			return false, fmt.Errorf("%s is not in this version: a gateway that runs protects what it carries", v)
		}
		return true, nil
	})
	optional(s, "mode", aText(), &q.Mode, parseMode)
	c.suiteLine = d.line(s, "default_suite")
	d.suite(s.section("default_suite"), q.Mode, &q.DefaultSuite)
	d.rotation(s.section("key_rotation"), &q.KeyRotation)
	d.authorities(s, c)
	d.antiDoS(s.section("anti_dos"), &q.AntiDoS)
	d.resumption(s.section("resumption"), &q.Resumption)
	s.end()
}

func (d *decoder) antiDoS(s *section, a *AntiDoSConfig) {
	*a = AntiDoSConfig{CookieTimeout: DefaultCookieTimeout, MaxConcurrent: DefaultMaxConcurrent, Cookie: CookieAuto}
	optional(s, "cookie_timeout_s", aNumber(), &a.CookieTimeout, duration(time.Second, mostCookieTimeout, time.Second))
	optional(s, "max_concurrent", aNumber(), &a.MaxConcurrent, func(v string) (int, error) {
		n, err := wholeNumber(1, mostConcurrent)(v)
		return int(n), err
	})
	optional(s, "cookie", aText(), &a.Cookie, oneOf(CookieAuto, CookieOn, CookieOff))
	s.end()
}

func (d *decoder) resumption(s *section, r *ResumptionConfig) {
	*r = ResumptionConfig{Enabled: true, TicketLifetime: DefaultTicketLifetime}
	optional(s, "enabled", aBool(), &r.Enabled, parseBool)
	optional(s, "ticket_lifetime_s", aNumber(), &r.TicketLifetime, duration(time.Second, mostTicketLifetime, time.Second))
	var zeroRTT bool
	optional(s, "zero_rtt", aBool(), &zeroRTT, func(v string) (bool, error) {
		if strings.EqualFold(v, "true") {
			return false, errors.New("true is not in this version: a link has nothing to say early")
		}
		return false, nil
	})
	s.later("safe_topics")
	s.end()
}

func (d *decoder) authorities(s *section, c *Config) {
	items, _ := s.list("authorities")
	if most := handshake.MaxAuthorities; len(items) > most {
		d.fail(items[most].Line, itemPath(s.child("authorities"), most), "there are more than %d authorities", most)
	}
	seen := map[string]string{}
	for i, n := range items {
		path := itemPath(s.child("authorities"), i)
		if file, ok := scalar(d, n, path, aText(), unique(seen, path, parsePath)); ok {
			c.QZMQ.Authorities = append(c.QZMQ.Authorities, file)
			c.authorityLines = append(c.authorityLines, n.Line)
		}
	}
	if line, there := optional(s, "authorised_keys", aText(), &c.QZMQ.AuthorisedKeys, parsePath); there {
		c.keysLine = line
	}
}

func (d *decoder) rotation(s *section, r *RotationConfig) {
	*r = RotationConfig{MaxMessages: DefaultMaxMessages, MaxBytes: DefaultMaxBytes, MaxAge: DefaultMaxAge}
	optional(s, "max_messages", aNumber(), &r.MaxMessages, wholeNumber(1, mostMessages))
	optional(s, "max_bytes", aNumber(), &r.MaxBytes, wholeNumber(1, mostBytes))
	optional(s, "max_age_s", aNumber(), &r.MaxAge, duration(time.Second, mostAge, time.Second))
	s.end()
}
