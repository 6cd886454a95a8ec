// Package docs_test runs what the pages show: a page that is wrong is a test that fails.
package docs_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain puts qzmqctl into PATH.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qzmq-docs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	if text, err := exec.Command("go", "build", "-o", dir, "../cmd/qzmqctl").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build qzmqctl: %v\n%s", err, text)
	} else {
		// Debian's Python, which has Debian's libzmq, comes before any other.
		os.Setenv("PATH", dir+":/usr/bin:"+os.Getenv("PATH"))
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// block is what stands between two lines of three backticks. The first word after the
// opening ones is its language, the second what the test does with it.
type block struct {
	line           int
	language, role string
	text           string
}

func blocks(t *testing.T, page string) (all []block) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for i, line := range strings.Split(string(b), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			words := append(strings.Fields(info), "", "")
			open = &block{line: i + 1, language: words[0], role: words[1]}
		case fence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: a block does not end", page, open.line)
	}
	return all
}

// reader does what a page tells, from top to bottom, in a directory of its own.
type reader struct {
	t    *testing.T
	page string
	dir  string
	edit *strings.Replacer // addresses of the page become those of this machine
	out  string            // of the last command
}

func read(t *testing.T, page string, edit ...string) {
	t.Helper()
	r := &reader{t: t, page: page, dir: t.TempDir(), edit: strings.NewReplacer(edit...)}
	did := 0
	for _, b := range blocks(t, page) {
		text := r.edit.Replace(b.text)
		switch {
		case b.role == "" && b.language == "sh":
			r.run(b, text)
		case b.role == "" && b.language == "text":
			if r.out != text {
				t.Fatalf("%s:%d: the page says %q, and it is %q", page, b.line, text, r.out)
			}
		case b.role == "relay":
			r.start(b, text, "relay started")
		case b.role == "program":
			r.start(b, text, "")
		case b.role == "qzmq":
			r.program(b, text, "..")
		case b.role == "zmq4": // in the module that knows zmq4
			r.program(b, text, "../qzmq/zmq4transport/interop")
		case strings.Contains(b.role, "."):
			if err := os.WriteFile(filepath.Join(r.dir, b.role), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("%s:%d: nobody knows what to do with %q %q", page, b.line, b.language, b.role)
		}
		did++
	}
	if did < 5 {
		t.Fatalf("%s shows only %d things", page, did)
	}
}

// program runs a program in Go, whose imports are those of the module there.
func (r *reader) program(b block, text, module string) {
	r.t.Helper()
	file := filepath.Join(r.dir, b.role+".go")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.command(b, module, "go", "run", file)
}

// run runs commands to their end.
func (r *reader) run(b block, text string) {
	r.t.Helper()
	r.command(b, r.dir, "sh", "-eu", "-c", text)
}

func (r *reader) command(b block, dir, name string, args ...string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var complaint strings.Builder
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = dir, &complaint, time.Second
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("%s:%d: %v\n%s%s", r.page, b.line, err, out, &complaint)
	}
	r.out = string(out)
}

// start starts what goes on until the test ends, and waits until it has said it.
func (r *reader) start(b block, text, word string) {
	r.t.Helper()
	said := new(lockedBuffer)
	cmd := exec.Command("sh", "-eu", "-c", "exec "+text)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.dir, said, said
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if r.t.Failed() {
			r.t.Logf("%s:%d said:\n%s", r.page, b.line, said)
		}
	})
	for end := time.Now().Add(10 * time.Second); !strings.Contains(said.String(), word); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s:%d: has not started", r.page, b.line)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// freeAddress is one of the loopback that nobody has now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestOtherLanguages(t *testing.T) {
	at := freeAddress(t)
	read(t, "other-languages.md", "0.0.0.0:5556", at, "server.example:5556", at)
}

func TestMigration(t *testing.T) {
	read(t, "migration.md", "127.0.0.1:5555", freeAddress(t), "127.0.0.1:5556", freeAddress(t))
}
