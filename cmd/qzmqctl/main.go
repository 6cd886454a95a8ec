// Command qzmqctl is the operator's tool beside qzmq-gateway. It makes
// identities, names them, certifies them, says what is wrong with a
// configuration before a gateway is given it, shows and steers a gateway that runs,
// and runs a relay for whoever needs one without a gateway.
//
// Results go to standard output and can be piped; everything else goes to
// standard error. The exit code is 0 when all is fine, 1 when it failed and 2
// when the command was not understood.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/qzmq/gateway/controlplane"
	"github.com/qzmq/gateway/qzmq/handshake"
)

const usage = `usage:
  qzmqctl keygen [--algorithm NAME] FILE
                            make an identity in a new key file, print its fingerprint.
                            Algorithms: mldsa44 (the default), mldsa65, mldsa87, ed25519,
                            ed25519+mldsa44, ed25519+mldsa65
  qzmqctl knock FILE        make a knock in a new file: the secret without which a
                            gateway does not answer, for it and for its peers
  qzmqctl fingerprint FILE  print the fingerprint of a key file
  qzmqctl check FILE        check a gateway's configuration and its identity

  qzmqctl show links|sessions|queues|drops|relays|features [--json] [--socket PATH]
                            how a running gateway is. PATH is its gateway.admin.socket:
                            $QZMQ_GATEWAY_ADMIN_SOCKET, or /run/qzmq/gateway.sock
  qzmqctl top [--count N] [--socket PATH]
                            what each queue carries, once a second, N times or until Ctrl-C
  qzmqctl rotate LINK [--socket PATH]
                            replace the session of a link, and wait until it is done

  qzmqctl relay --identity FILE --listen URL --connect URL [--peer PEER]
                [--allow CALLER,...] [--authorised FILE] [--ca FILE.pub]...
                [--certificate FILE] [--knock FILE] [--service NAME]
                            carry plain ZeroMQ connections over sealed ones, or back. One
                            URL is plain, tcp://HOST:PORT or ipc://PATH, the other sealed,
                            qzmq+tcp:// or qzmq+ipc://. Sealed calls go to PEER: a
                            fingerprint, or a name by a line "qz1... name" of --authorised
                            or a certificate of --ca. Sealed callers are let in by --allow,
                            by --authorised (such lines, the name optional) or by a
                            certificate: all of --ca, unless --allow names some. A listener
                            may have several --identity, while one key takes over from
                            another. SIGHUP reads all files anew, and cuts whoever may not
                            stay

  qzmqctl ca init FILE      make an authority: its key in FILE, what others need to
                            trust it in FILE.pub; print its fingerprint
  qzmqctl ca request FILE   print a request for a certificate for a key file
  qzmqctl ca issue --ca FILE --name NAME [--roles LIST] [--routes LIST] [--days N] REQUEST
                            print a certificate. NAME: a-z, 0-9 and -. Roles: link (the
                            default), zmtp, or one side of them, link-initiator and so on.
                            Routes: the prefixes that may lie behind NAME; a link needs
                            them. Days: 30 unless given
  qzmqctl ca show [--json] [--ca FILE.pub] FILE
                            show a certificate, a request or an authority
`

// The exit codes of the operator's contract.
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// output is what a command has to say when it did not fail.
type output struct {
	result  string // for standard output, ended by a newline
	warning string // for standard error; empty for none
}

// errUsage is the error of a command line that was not understood.
var errUsage = errors.New("not understood")

// run does what main does, for tests to call.
func run(args []string, stdout, stderr io.Writer) int {
	out, err := command(args, stdout, stderr)
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprint(stderr, usage)
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	if _, err := io.WriteString(stdout, out.result); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	if out.warning != "" {
		fmt.Fprintln(stderr, "warning:", out.warning)
	}
	return exitFine
}

func command(args []string, stdout, stderr io.Writer) (output, error) {
	if len(args) > 0 {
		switch args[0] {
		case "ca":
			return ca(args[1:], time.Now())
		case "keygen":
			return keygen(args[1:])
		case "show":
			return showPart(args[1:])
		case "rotate":
			return rotate(args[1:])
		case "top":
			return output{}, top(args[1:], stdout)
		case "relay":
			return output{}, runRelay(args[1:], stderr)
		}
	}
	return onFile(args, map[string]func(string) (output, error){
		"knock":       knock,
		"fingerprint": fingerprint,
		"check":       check,
	})
}

// onFile runs a command that takes a file and nothing else. A FILE that looks like
// a flag is a flag that we do not have.
func onFile(args []string, commands map[string]func(file string) (output, error)) (output, error) {
	if len(args) != 2 || strings.HasPrefix(args[1], "-") || commands[args[0]] == nil {
		return output{}, errUsage
	}
	return commands[args[0]](args[1])
}

func keygen(args []string) (out output, err error) {
	var name string
	file, err := options("keygen", args, func(f *flag.FlagSet) {
		f.StringVar(&name, "algorithm", handshake.DefaultSuite().Sig.String(), "")
	})
	if err != nil {
		return out, err
	}
	algorithm, err := handshake.ParseSignature(name)
	if err != nil {
		return out, fmt.Errorf("%q is not an algorithm of identities; qzmqctl alone lists them", name)
	}
	id, err := controlplane.CreateIdentity(file, algorithm)
	if err != nil {
		return out, err
	}
	out.result = id.Fingerprint().String() + "\n"
	// A gateway has to be told; who finds it out from an error has made the key already.
	if algorithm != handshake.DefaultSuite().Sig {
		out.warning = fmt.Sprintf("this gateway's file needs qzmq.default_suite.sig: %v, and its peers' files the same in the default_suite of their link", algorithm)
	}
	return out, nil
}

// knock prints nothing: what it makes has no public half.
func knock(file string) (output, error) { return output{}, controlplane.CreateKnock(file) }

func fingerprint(file string) (output, error) {
	id, err := controlplane.ReadIdentity(file)
	if err != nil {
		return output{}, err
	}
	return output{result: id.Fingerprint().String() + "\n"}, nil
}

// check does all that a gateway does with its configuration before it touches
// the network.
func check(file string) (out output, err error) {
	c, err := controlplane.Load(file, os.Getenv)
	if err != nil {
		return out, err
	}
	id, err := c.ReadIdentity()
	if err != nil {
		return out, err
	}
	out.result = fmt.Sprintf("%s: fine; gateway %s is %v, links: %d\n", file, c.Gateway.Name, id.Fingerprint(), len(c.Links))
	certificate, err := c.ReadCertificate()
	if err != nil {
		return out, err
	}
	if certificate != nil {
		out.warning = ending(certificate, time.Now())
	}
	return out, nil
}
