package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/qzmq/gateway/controlplane"
)

// showPart prints one part of a gateway's status, as a table or as JSON.
func showPart(args []string) (out output, err error) {
	var asJSON *bool
	var socket *string
	part, err := operand("show", args, func(f *flag.FlagSet) {
		asJSON, socket = f.Bool("json", false, ""), socketFlag(f)
	})
	tables := map[string]func(*controlplane.Status) string{
		"links": links, "sessions": sessions, "queues": queues, "drops": drops, "relays": relays, "features": features,
	}
	if err != nil || tables[part] == nil {
		return out, errUsage
	}
	body, status, err := newOperator(*socket).status()
	if err != nil {
		return out, err
	}
	if !*asJSON {
		out.result = tables[part](status)
		return out, nil
	}
	out.result, err = section(body, part)
	return out, err
}

// section cuts one part out of a status. It is passed on as it came: a gateway that
// is newer than this program may say more than this program knows.
func section(status []byte, part string) (string, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(status, &parts); err != nil {
		return "", err
	}
	var all any = parts[part]
	if part == "drops" { // the programs drop before a worker sees anything
		all = map[string]json.RawMessage{"drops": parts["drops"], "exits": parts["exits"]}
	}
	b, err := json.MarshalIndent(all, "", "  ")
	return string(b) + "\n", err
}

// table aligns columns: the heads and the cells of each row are separated by tabs.
func table(heads string, rows []string) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heads)
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	w.Flush()
	var out strings.Builder
	for line := range strings.Lines(b.String()) { // an empty last cell leaves blanks
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}

func row(cells ...any) string {
	text := make([]string, len(cells))
	for i, c := range cells {
		if text[i] = fmt.Sprint(c); text[i] == "" {
			text[i] = "-"
		}
	}
	return strings.Join(text, "\t")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// scaled gives three digits or so and the unit that fits.
func scaled(n float64, units ...string) string {
	i := 0
	for ; n >= 1000 && i < len(units)-1; i++ {
		n /= 1000
	}
	if i == 0 {
		return fmt.Sprintf("%.0f %s", n, units[0])
	}
	return fmt.Sprintf("%.2f %s", n, units[i])
}

func inBytes(n uint64) string { return scaled(float64(n), "B", "kB", "MB", "GB", "TB", "PB") }

// span is an age to the second, which no operator needs of what is days old.
func span(seconds float64) string {
	d := time.Duration(seconds) * time.Second
	if d >= 48*time.Hour {
		return fmt.Sprintf("%.1fd", d.Hours()/24)
	}
	return d.String()
}
