package main

import (
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/qzmq/gateway/controlplane"
	"github.com/qzmq/gateway/qzmq/handshake"
)

// A small authority. Each gateway's host makes a request, which proves that it
// holds its key; the private key never leaves it. The authority's host, which
// needs no network, makes certificates of requests:
//
//	ca-host$    qzmqctl ca init ca.key
//	gateway$    qzmqctl ca request site-b.key > site-b.req
//	ca-host$    qzmqctl ca issue --ca ca.key --name site-b --routes 10.2.0.0/24 site-b.req > site-b.cert
//
// Nothing is kept of what was issued: a certificate ends by itself.

const (
	mostDays = 3650

	// backdated is by how much a certificate begins before it is made, so that a
	// gateway whose clock is late takes it.
	backdated = time.Hour
)

// ca runs the commands that start with ca.
func ca(args []string, now time.Time) (output, error) {
	if len(args) == 0 {
		return output{}, errUsage
	}
	switch args[0] {
	case "issue":
		return issue(args[1:], now)
	case "show":
		return show(args[1:], now)
	}
	return onFile(args, map[string]func(string) (output, error){
		"init":    initAuthority,
		"request": request,
	})
}

func initAuthority(file string) (output, error) {
	a, err := controlplane.CreateAuthority(file)
	if err != nil {
		return output{}, err
	}
	return output{result: a.Fingerprint().String() + "\n"}, nil
}

func request(file string) (output, error) {
	id, err := controlplane.ReadIdentity(file)
	if err != nil {
		return output{}, err
	}
	q, err := handshake.NewRequest(id)
	if err != nil {
		return output{}, err
	}
	return output{result: string(q.MarshalFile())}, nil
}

// options reads flags and the one file behind them.
func options(name string, args []string, define func(*flag.FlagSet)) (file string, err error) {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // the usage says more
	define(f)
	if err := f.Parse(args); err != nil || f.NArg() != 1 {
		return "", errUsage
	}
	return f.Arg(0), nil
}

func issue(args []string, now time.Time) (out output, err error) {
	var key, name, roles, routes string
	var days int
	file, err := options("issue", args, func(f *flag.FlagSet) {
		f.StringVar(&key, "ca", "", "")
		f.StringVar(&name, "name", "", "")
		f.StringVar(&roles, "roles", "link", "")
		f.StringVar(&routes, "routes", "", "")
		f.IntVar(&days, "days", int(handshake.DefaultValidity/(24*time.Hour)), "")
	})
	if err != nil || key == "" || name == "" {
		return out, errUsage
	}
	if days < 1 || days > mostDays {
		return out, fmt.Errorf("%d days: want 1 to %d", days, mostDays)
	}
	g := handshake.Grant{
		Name: name, NotBefore: now.Add(-backdated),
		NotAfter: now.Add(time.Duration(days) * 24 * time.Hour),
	}
	if g.Roles, err = handshake.ParseRoles(roles); err != nil {
		return out, fmt.Errorf("%q: %w", roles, err)
	}
	if g.Routes, err = parseRoutes(routes); err != nil {
		return out, err
	}
	if g.Roles&handshake.LinkRoles != 0 && len(g.Routes) == 0 {
		return out, fmt.Errorf("a certificate for links needs --routes, the prefixes that may lie behind %s", name)
	}
	authority, err := controlplane.ReadAuthorityKey(key)
	if err != nil {
		return out, err
	}
	q, err := controlplane.ReadRequest(file)
	if err != nil {
		return out, err
	}
	c, err := authority.Issue(q, g)
	if err != nil {
		return out, err
	}
	// A signature that came out wrong, by a fault of the machine, can give the key
	// away; it does not leave this one.
	if err := c.Check([]*handshake.Authority{authority.Authority()}, now); err != nil {
		return out, err
	}
	return output{result: string(c.MarshalFile())}, nil
}

// parseRoutes reads prefixes with commas between.
func parseRoutes(s string) (routes []netip.Prefix, err error) {
	if s == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(s, ",") {
		p, err := netip.ParsePrefix(word)
		if err != nil || p != p.Masked() {
			return nil, fmt.Errorf("%q is not a prefix, or has bits behind it", word)
		}
		routes = append(routes, p)
	}
	return routes, nil
}
