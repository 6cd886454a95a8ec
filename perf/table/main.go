// Command table puts the ratios of all parts of perf/ into one table, with what
// could not be measured, prints it and leaves it as bench.md and bench.json.
//
//	table [-dir DIR]
//
// Parts that were never measured are named as missing.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/qzmq/gateway/perf/sheet"
)

func main() {
	dir := flag.String("dir", "perf/results", "read the parts' JSON files from `DIR` and write the table there")
	flag.Parse()
	markdown, err := sheet.Summary(*dir, "aead", "pipeline", "forward", "paths", "zmq", "relay", "sockets", "protocol")
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
	fmt.Print(markdown)
}
