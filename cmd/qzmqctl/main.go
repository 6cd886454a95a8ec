// Command qzmqctl is the operator's tool beside qzmq-gateway. It makes
// identities, names them, and says what is wrong with a configuration before a
// gateway is given it.
//
// Results go to standard output and can be piped; everything else goes to
// standard error. The exit code is 0 when all is fine, 1 when it failed and 2
// when the command was not understood.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/qzmq/gateway/controlplane"
)

const usage = `usage:
  qzmqctl keygen FILE       make an identity in a new key file, print its fingerprint
  qzmqctl fingerprint FILE  print the fingerprint of a key file
  qzmqctl check FILE        check a gateway's configuration and its identity
`

// The exit codes of the operator's contract.
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run does what main does, for tests to call.
func run(args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(file string) (result string, err error){
		"keygen":      keygen,
		"fingerprint": fingerprint,
		"check":       check,
	}
	var command func(string) (string, error)
	// A FILE that looks like a flag is a flag that we do not have.
	if len(args) == 2 && !strings.HasPrefix(args[1], "-") {
		command = commands[args[0]]
	}
	if command == nil {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	result, err := command(args[1])
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	if _, err := fmt.Fprintln(stdout, result); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitFine
}

func keygen(file string) (string, error) {
	id, err := controlplane.CreateIdentity(file)
	if err != nil {
		return "", err
	}
	return id.Fingerprint().String(), nil
}

func fingerprint(file string) (string, error) {
	id, err := controlplane.ReadIdentity(file)
	if err != nil {
		return "", err
	}
	return id.Fingerprint().String(), nil
}

// check does all that a gateway does with its configuration before it touches
// the network.
func check(file string) (string, error) {
	c, err := controlplane.Load(file, os.Getenv)
	if err != nil {
		return "", err
	}
	id, err := c.ReadIdentity()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: fine; gateway %s is %v, links: %d", file, c.Gateway.Name, id.Fingerprint(), len(c.Links)), nil
}
