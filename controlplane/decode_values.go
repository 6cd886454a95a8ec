package controlplane

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// mostWorkers is more queues than any NIC of today has.
const mostWorkers = 1024

// mostName is what a DNS label may have.
const mostName = 63

// parseName takes a name that can stand in a metric, a log line and a command
// without quotes.
func parseName(s string) (string, error) {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if s == "" || len(s) > mostName || strings.Trim(s, allowed) != "" {
		return "", fmt.Errorf("%q is not a name: want 1 to %d of a-z, 0-9 and -", s, mostName)
	}
	return s, nil
}

// parsePath takes any path; whether there is a file shows when it is opened.
func parsePath(s string) (string, error) {
	if s == "" || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%q is not a path", s)
	}
	return s, nil
}

// parseSocket takes a path for a unix socket, for which the kernel has little room.
// A relative one would move with the directory that a program is started in.
func parseSocket(s string) (string, error) {
	const most = len(unix.RawSockaddrUnix{}.Path) - 1
	if !strings.HasPrefix(s, "/") || len(s) > most || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%q is not an absolute path of at most %d bytes", s, most)
	}
	return s, nil
}

// parseInterface takes what the kernel takes for an interface.
func parseInterface(s string) (string, error) {
	unfit := func(r rune) bool { return r == '/' || r == ':' || unicode.IsSpace(r) || unicode.IsControl(r) }
	if s == "" || len(s) > 15 || s == "." || s == ".." || strings.ContainsFunc(s, unfit) {
		return "", fmt.Errorf("%q is not the name of an interface", s)
	}
	return s, nil
}

// parseHostAddress takes an address that one host can have.
func parseHostAddress(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
	}
	if a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}, fmt.Errorf("%q is not the address of one host", s)
	}
	return a, nil
}

// parseAddrPort takes an IP literal and a port. A name would be looked up once
// and then be wrong.
func parseAddrPort(s string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Addr().Zone() != "" || a.Addr().Is4In6() {
		return netip.AddrPort{}, fmt.Errorf("%q is not an IP address and a port", s)
	}
	return a, nil
}

// parsePrefix takes a prefix in the one form that equal prefixes share.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is not a prefix", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind the prefix: write %q", s, p.Masked())
	}
	return p, nil
}

func parsePort(s string) (uint16, error) {
	n, err := wholeNumber(1, math.MaxUint16)(s)
	return uint16(n), err
}

// parsePortRange takes 5555 or 5555-5560.
func parsePortRange(s string) (PortRange, error) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	first, err1 := parsePort(low)
	last, err2 := parsePort(high)
	if err1 != nil || err2 != nil {
		return PortRange{}, fmt.Errorf("%q is not a port or a range of ports such as 5555-5560", s)
	}
	if first > last {
		return PortRange{}, fmt.Errorf("%q ends before it starts", s)
	}
	return PortRange{First: first, Last: last}, nil
}

// parseWorkers takes auto or a number; auto is 0.
func parseWorkers(s string) (int, error) {
	if s == "auto" {
		return 0, nil
	}
	n, err := wholeNumber(1, mostWorkers)(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not auto or a number from 1 to %d", s, mostWorkers)
	}
	return int(n), nil
}

// wholeNumber takes a whole number in decimal. A leading zero is refused: YAML reads
// it as octal, people do not.
func wholeNumber(least, most uint64) func(string) (uint64, error) {
	return func(s string) (uint64, error) {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil || n < least || n > most || len(s) > 1 && s[0] == '0' {
			return 0, fmt.Errorf("%q is not a whole number from %d to %d", s, least, most)
		}
		return n, nil
	}
}

// duration takes a whole number of units.
func duration(least, most, unit time.Duration) func(string) (time.Duration, error) {
	number := wholeNumber(uint64(least/unit), uint64(most/unit))
	return func(s string) (time.Duration, error) {
		n, err := number(s)
		return time.Duration(n) * unit, err
	}
}

// oneOf takes one of a few words.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		if !slices.Contains(words, T(s)) {
			return "", fmt.Errorf("%q is not one of %s", s, joinWords(words))
		}
		return T(s), nil
	}
}

func joinWords[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// refusing says of a word that the product has it, but not this version.
func refusing[T any](word string, convert func(string) (T, error)) func(string) (T, error) {
	return func(s string) (T, error) {
		if s == word {
			var none T
			return none, fmt.Errorf("%q is not in this version", s)
		}
		return convert(s)
	}
}

// parseBool reads what aBool has let pass.
func parseBool(v string) (bool, error) { return strings.EqualFold(v, "true"), nil }
