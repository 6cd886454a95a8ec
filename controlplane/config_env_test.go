package controlplane

import "testing"

func TestEnvironment(t *testing.T) {
	type lines = map[int]string
	for _, tc := range []struct {
		name    string
		changes lines
		env     env
		got     func(*Config) any
		want    any
	}{
		{"whole value", lines{3: "  identity: ${QZMQ_IDENTITY}"}, env{"QZMQ_IDENTITY": "/k"},
			func(c *Config) any { return c.Gateway.Identity }, "/k"},
		{"part of a value", lines{3: "  identity: \"${QZMQ_DIR}/${QZMQ_FILE_2}.key\""}, env{"QZMQ_DIR": "/etc", "QZMQ_FILE_2": "a"},
			func(c *Config) any { return c.Gateway.Identity }, "/etc/a.key"},
		{"number", lines{9: "  busy_poll_us: ${QZMQ_POLL}"}, env{"QZMQ_POLL": "1000000"},
			func(c *Config) any { return c.Gateway.BusyPoll.String() }, "1s"},
		{"item of a list", lines{20: "    routes: [\"10.${QZMQ_SITE}.0.0/24\"]"}, env{"QZMQ_SITE": "9"},
			func(c *Config) any { return c.Links[0].Routes[0].String() }, "10.9.0.0/24"},
		{"once only", lines{3: "  identity: ${QZMQ_A}"}, env{"QZMQ_A": "${QZMQ_B}", "QZMQ_B": "b"},
			func(c *Config) any { return c.Gateway.Identity }, "${QZMQ_B}"},
		{"a dollar alone", lines{3: "  identity: $QZMQ_A"}, env{"QZMQ_A": "a"},
			func(c *Config) any { return c.Gateway.Identity }, "$QZMQ_A"},
		{"over the file", nil, env{"QZMQ_GATEWAY_NAME": "other"},
			func(c *Config) any { return c.Gateway.Name }, "other"},
		{"without the file", lines{3: "-"}, env{"QZMQ_GATEWAY_IDENTITY": "/k"},
			func(c *Config) any { return c.Gateway.Identity }, "/k"},
		{"without the section", lines{10: "-"}, env{"QZMQ_GATEWAY_ADMIN_LISTEN": "127.0.0.2:1"},
			func(c *Config) any { return c.Gateway.Admin.Listen.String() }, "127.0.0.2:1"},
		{"over what cannot be expanded", lines{3: "  identity: ${QZMQ_NONE}"}, env{"QZMQ_GATEWAY_IDENTITY": "/k"},
			func(c *Config) any { return c.Gateway.Identity }, "/k"},
		{"deeper", nil, env{"QZMQ_QZMQ_KEY_ROTATION_MAX_AGE_S": "7"},
			func(c *Config) any { return c.QZMQ.KeyRotation.MaxAge.String() }, "7s"},
		{"not in lists", nil, env{"QZMQ_LINKS[0]_NAME": "x", "QZMQ_LINKS_NAME": "x"},
			func(c *Config) any { return c.Links[0].Name }, "site-b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse("a.yaml", edit(tc.changes), tc.env.get)
			if err != nil {
				t.Fatal(err)
			}
			if got := tc.got(c); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestBrokenEnvironment(t *testing.T) {
	type lines = map[int]string
	for _, tc := range []struct {
		name    string
		changes lines
		env     env
		want    string
	}{
		{"not set", lines{3: "  identity: ${QZMQ_IDENTITY}"}, env{}, "3: gateway.identity: QZMQ_IDENTITY is not set in the environment"},
		{"not set, in a list", lines{20: "    routes:\n    - ${QZMQ_R}"}, env{}, "21: links[0].routes[0]: QZMQ_R is not set in the environment"},
		{"name of others", lines{3: "  identity: ${HOME}/k"}, env{"HOME": "/root"}, `3: gateway.identity: "${HOME}" cannot be used: only names that start with QZMQ_ are expanded`},
		{"no name", lines{3: "  identity: ${}"}, env{}, `3: gateway.identity: "${}" cannot be used: only names that start with QZMQ_ are expanded`},
		{"not closed", lines{3: "  identity: ${QZMQ_A"}, env{"QZMQ_A": "a"}, `3: gateway.identity: "${QZMQ_A" has no closing brace`},
		{"bad value", lines{6: "  workers: ${QZMQ_W}"}, env{"QZMQ_W": "x"}, `6: gateway.workers: "x" is not auto or a number from 1 to 1024`},
		{"bad value over the file", nil, env{"QZMQ_GATEWAY_OUTSIDE_PORT": "x"},
			`5: gateway.outside.port: "x" is not a whole number from 1 to 65535 (from QZMQ_GATEWAY_OUTSIDE_PORT)`},
		{"over a mapping", lines{2: "  name: {}"}, env{"QZMQ_GATEWAY_NAME": "x"}, "2: gateway.name: want text, got a mapping"},
	} {
		t.Run(tc.name, func(t *testing.T) { checkErrors(t, edit(tc.changes), tc.env, tc.want) })
	}
}

// FuzzParse looks for a file that makes Parse panic, or that it takes although
// what it gives breaks its promises.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add(edit(nil))
	f.Add([]byte("gateway: &a [*a]\n"))
	f.Add([]byte("a: &a {<<: *a}\n"))
	f.Add([]byte("? ? ? x\n: \xef\xbb\xbf ${QZMQ_A\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("a.yaml", b, func(name string) string { return "5" })
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		if err == nil {
			return
		}
		last := 0
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			ce := e.(*ConfigError)
			if ce.Line < max(1, last) || ce.File != "a.yaml" || ce.Text == "" {
				t.Fatalf("%+v after line %d", ce, last)
			}
			last = ce.Line
		}
	})
}
