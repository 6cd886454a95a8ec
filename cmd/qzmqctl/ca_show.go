package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/qzmq/gateway/controlplane"
	"github.com/qzmq/gateway/qzmq/handshake"
)

// shown is what `ca show --json` prints. Keys that a kind of file does not have are
// left out.
type shown struct {
	Kind            string     `json:"kind"` // certificate, request, authority
	Fingerprint     string     `json:"fingerprint"`
	Algorithm       string     `json:"algorithm"`
	Name            string     `json:"name,omitempty"`
	Roles           []string   `json:"roles,omitempty"`
	Routes          []string   `json:"routes,omitempty"`
	NotBefore       *time.Time `json:"not_before,omitempty"`
	NotAfter        *time.Time `json:"not_after,omitempty"`
	Issuer          string     `json:"issuer,omitempty"`
	IssuerAlgorithm string     `json:"issuer_algorithm,omitempty"`
	Serial          string     `json:"serial,omitempty"`
	Signature       string     `json:"signature,omitempty"` // genuine, or not checked
	Warning         string     `json:"warning,omitempty"`
}

func show(args []string, now time.Time) (out output, err error) {
	var asJSON bool
	var ca string
	file, err := options("show", args, func(f *flag.FlagSet) {
		f.BoolVar(&asJSON, "json", false, "")
		f.StringVar(&ca, "ca", "", "")
	})
	if err != nil {
		return out, err
	}
	var trusted []*handshake.Authority
	if ca != "" {
		a, err := controlplane.ReadAuthority(ca)
		if err != nil {
			return out, err
		}
		trusted = append(trusted, a)
	}
	s, err := read(file, trusted, now)
	if err != nil {
		return out, err
	}
	out.warning = s.Warning
	if !asJSON {
		out.result = s.text()
		return out, nil
	}
	b, err := json.MarshalIndent(s, "", "  ")
	out.result = string(b) + "\n"
	return out, err
}

// read finds out what a file is by reading it as each.
func read(file string, trusted []*handshake.Authority, now time.Time) (*shown, error) {
	c, err := controlplane.ReadCertificate(file)
	if err == nil {
		return certificate(c, trusted, now)
	}
	q, requestErr := controlplane.ReadRequest(file)
	switch {
	case requestErr == nil:
		return &shown{Kind: "request", Fingerprint: q.Fingerprint().String(), Algorithm: q.Algorithm().String(), Signature: "genuine"}, nil
	case errors.Is(requestErr, handshake.ErrPossession):
		return nil, requestErr
	}
	if a, err := controlplane.ReadAuthority(file); err == nil {
		return &shown{Kind: "authority", Fingerprint: a.Fingerprint().String(), Algorithm: a.Algorithm().String()}, nil
	}
	if errors.Is(err, handshake.ErrCertificateFile) {
		return nil, fmt.Errorf("%s: not a certificate, a request or an authority's public file, or a damaged one", file)
	}
	return nil, err
}

func certificate(c *handshake.Certificate, trusted []*handshake.Authority, now time.Time) (*shown, error) {
	s := &shown{
		Kind: "certificate", Name: c.Name,
		Fingerprint: c.Fingerprint().String(), Algorithm: c.Algorithm().String(),
		Roles:     strings.Split(c.Roles.String(), ","),
		NotBefore: &c.NotBefore, NotAfter: &c.NotAfter,
		Issuer: c.Issuer.String(), IssuerAlgorithm: c.IssuerAlgorithm().String(),
		Serial: hex.EncodeToString(c.Serial[:]), Signature: "not checked",
		Warning: ending(c, now),
	}
	for _, r := range c.Routes {
		s.Routes = append(s.Routes, r.String())
	}
	if len(trusted) > 0 {
		// An expired certificate can be genuine; that it has expired is the warning.
		if err := c.Check(trusted, c.NotAfter); err != nil {
			return nil, err
		}
		s.Signature = "genuine"
	}
	return s, nil
}

// text is for people.
func (s *shown) text() string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s %s\n", label, fmt.Sprintf(format, args...))
	}
	if b.WriteString(s.Kind); s.Name != "" {
		b.WriteString(" of " + s.Name)
	}
	b.WriteString("\n")
	line("key", "%s (%s)", s.Fingerprint, s.Algorithm)
	if s.Kind == "certificate" {
		line("roles", "%s", strings.Join(s.Roles, ", "))
		routes := "none"
		if len(s.Routes) > 0 {
			routes = strings.Join(s.Routes, ", ")
		}
		line("routes", "%s", routes)
		line("valid", "%s to %s", s.NotBefore.Format(dateFormat), s.NotAfter.Format(dateFormat))
		line("issuer", "%s (%s)", s.Issuer, s.IssuerAlgorithm)
		line("serial", "%s", s.Serial)
	}
	if s.Signature != "" {
		line("signature", "%s", s.Signature)
	}
	return b.String()
}

const dateFormat = "2006-01-02 15:04:05 MST"

// ending says that a certificate does not hold, or not for long; it is empty for
// one that has more than a week left.
func ending(c *handshake.Certificate, now time.Time) string {
	switch err := c.CheckTime(now); {
	case err == handshake.ErrCertificateNotYet:
		return fmt.Sprintf("the certificate of %s is not valid before %s", c.Name, c.NotBefore.Format(dateFormat))
	case err != nil:
		return fmt.Sprintf("the certificate of %s has expired on %s", c.Name, c.NotAfter.Format(dateFormat))
	case c.ExpiresSoon(now):
		return fmt.Sprintf("the certificate of %s expires on %s, in %d days", c.Name, c.NotAfter.Format(dateFormat), int(c.NotAfter.Sub(now)/(24*time.Hour)))
	}
	return ""
}
