// Package ends runs two programs, one that binds and one that connects, and takes in
// the numbers that they print; and it is such a program for any sockets in Go, so that
// libraries differ in a measurement and the programs on them do not.
//
// The programs follow perf/traffic/zmq.c in their arguments and in what they print.
package ends

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Program is what is started for either end, whichever part it then plays.
type Program struct {
	Command     []string // and its first arguments
	Environment []string // besides ours
}

// Figures are the numbers that each end has printed.
type Figures struct{ Bound, Connected []float64 }

// patience is longer than any exchange takes, and shorter than anybody waits for one that hangs.
const patience = 2 * time.Minute

// Exchange starts the program that binds, when that says "listening" the one that
// connects, and waits for both. When the connecting one says "ready", the other is told
// to go by a line on its standard input, which ends when the connecting one has ended.
func (p Program) Exchange(ctx context.Context, binds, connects []string) (f Figures, err error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	bound, err := p.start(ctx, binds)
	if err != nil {
		return f, err
	}
	defer bound.kill()
	if !bound.said.Scan() || bound.said.Text() != "listening" {
		return f, fmt.Errorf("%v does not listen: %w", binds, bound.wait())
	}
	connected, err := p.start(ctx, connects)
	if err != nil {
		return f, err
	}
	defer connected.kill()
	f.Connected, err = connected.figures(func() error {
		_, err := io.WriteString(bound.words, "go\n")
		return err
	})
	err = errors.Join(err, bound.words.Close())
	if err != nil {
		return f, err
	}
	f.Bound, err = bound.figures(func() error { return errors.New("only who connects is ready") })
	return f, err
}

// process is one end while it runs.
type process struct {
	*exec.Cmd
	words io.WriteCloser
	said  *bufio.Scanner
	wrong bytes.Buffer
}

func (p Program) start(ctx context.Context, args []string) (*process, error) {
	c := &process{Cmd: exec.CommandContext(ctx, p.Command[0], append(p.Command[1:len(p.Command):len(p.Command)], args...)...)}
	c.Env = append(os.Environ(), p.Environment...)
	c.Stderr = &c.wrong
	pipe, err := c.StdoutPipe()
	if err == nil {
		c.words, err = c.StdinPipe()
	}
	if err == nil {
		err = c.Start()
	}
	c.said = bufio.NewScanner(pipe)
	return c, err
}

// kill ends what has not ended by itself.
func (c *process) kill() {
	if c.ProcessState == nil {
		c.Process.Kill()
		c.Wait()
	}
}

func (c *process) wait() error {
	if err := c.Wait(); err != nil {
		return fmt.Errorf("%v: %w: %s", c.Args, err, strings.TrimSpace(c.wrong.String()))
	}
	return nil
}

// figures gives the numbers that the program prints until it ends.
func (c *process) figures(ready func() error) (all []float64, err error) {
	for c.said.Scan() {
		if c.said.Text() == "ready" {
			if err := ready(); err != nil {
				return nil, err
			}
			continue
		}
		for word := range strings.FieldsSeq(c.said.Text()) {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				return nil, fmt.Errorf("%v prints %q", c.Args, c.said.Text())
			}
			all = append(all, v)
		}
	}
	return all, c.wait()
}

// FreePort gives a port of the loopback that nobody has.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// SizeName writes a size as the tables do.
func SizeName(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
