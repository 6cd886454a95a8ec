package controlplane

import (
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
	d.qzmq(s.section("qzmq"), &c.QZMQ)
	d.links(s, c)
	s.later("relays")
	s.end()
	return c
}

func (d *decoder) gateway(s *section, c *Config) {
	g := &c.Gateway
	*g = GatewayConfig{Attach: AttachAuto, ZeroCopy: ZeroCopyAuto}
	required(s, "name", aText(), &g.Name, parseName)
	c.identityLine = required(s, "identity", aText(), &g.Identity, parsePath)
	d.inside(s.section("inside"), &g.Inside)
	d.outside(s.section("outside"), &g.Outside, g.Inside)
	optional(s, "workers", aTextOrNumber(), &g.Workers, parseWorkers)
	optional(s, "attach", aText(), &g.Attach, oneOf(AttachAuto, AttachNative, AttachGeneric))
	optional(s, "zero_copy", aText(), &g.ZeroCopy, oneOf(ZeroCopyAuto, ZeroCopyOn, ZeroCopyOff))
	optional(s, "busy_poll_us", aNumber(), &g.BusyPoll, duration(0, time.Second, time.Microsecond))
	d.admin(s.section("admin"), &g.Admin)
	s.end()
}

func (d *decoder) inside(s *section, in *InsideConfig) {
	in.IO = IOAuto
	required(s, "interface", aText(), &in.Interface, parseInterface)
	optional(s, "io", aText(), &in.IO, refusing("superframe", oneOf(IOAuto, IOXDP)))
	s.end()
}

func (d *decoder) outside(s *section, out *OutsideConfig, in InsideConfig) {
	out.Port = DefaultPort
	required(s, "interface", aText(), &out.Interface, func(v string) (string, error) {
		if v == in.Interface {
			// Each interface gets one of two XDP programs; they do not go together.
			return "", fmt.Errorf("%q is the inside interface too", v)
		}
		return parseInterface(v)
	})
	required(s, "address", aText(), &out.Address, parseHostAddress)
	optional(s, "port", aNumber(), &out.Port, parsePort)
	s.end()
}

func (d *decoder) admin(s *section, a *AdminConfig) {
	a.Listen = netip.MustParseAddrPort("127.0.0.1:9580")
	optional(s, "listen", aText(), &a.Listen, parseAddrPort)
	s.later("socket")
	s.end()
}

func (d *decoder) qzmq(s *section, q *QZMQConfig) {
	*q = QZMQConfig{Mode: handshake.ModeHybrid}
	var enabled bool
	optional(s, "enabled", aBool(), &enabled, func(v string) (bool, error) {
		if !strings.EqualFold(v, "true") {
			return false, fmt.Errorf("%s is not in this version: a gateway that runs protects what it carries", v)
		}
		return true, nil
	})
	optional(s, "mode", aText(), &q.Mode, parseMode)
	d.suite(s.section("default_suite"), q)
	d.rotation(s.section("key_rotation"), &q.KeyRotation)
	s.later("anti_dos", "resumption")
	s.end()
}

func (d *decoder) rotation(s *section, r *RotationConfig) {
	*r = RotationConfig{MaxMessages: DefaultMaxMessages, MaxBytes: DefaultMaxBytes, MaxAge: DefaultMaxAge}
	optional(s, "max_messages", aNumber(), &r.MaxMessages, wholeNumber(1, mostMessages))
	optional(s, "max_bytes", aNumber(), &r.MaxBytes, wholeNumber(1, mostBytes))
	optional(s, "max_age_s", aNumber(), &r.MaxAge, duration(time.Second, mostAge, time.Second))
	s.end()
}
