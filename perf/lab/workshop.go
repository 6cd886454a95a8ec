package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Workshop is a temporary directory with the programs and keys that measurements
// need, each made when it is first asked for. What cannot be made is remembered
// with its reason.
type Workshop struct {
	ctx  context.Context
	dir  string
	made map[string]error
}

// NewWorkshop makes the directory; Close removes it. Measurements of this package
// need root and the top of the checkout as working directory.
func NewWorkshop(ctx context.Context) (*Workshop, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces and AF_XDP need root")
	}
	if _, err := os.Stat("tools/testbed"); err != nil {
		return nil, fmt.Errorf("this runs from the top of the checkout: %w", err)
	}
	dir, err := os.MkdirTemp("", "qzmq-bench-")
	if err != nil {
		return nil, err
	}
	return &Workshop{ctx: ctx, dir: dir, made: make(map[string]error)}, nil
}

// Close removes everything.
func (w *Workshop) Close() error { return os.RemoveAll(w.dir) }

// Dir is the directory, which others may use as well.
func (w *Workshop) Dir() string { return w.dir }

func (w *Workshop) path(name string) string { return filepath.Join(w.dir, name) }

// once makes the file of a name, the first time.
func (w *Workshop) once(name string, how func(path string) error) (string, error) {
	err, known := w.made[name]
	if !known {
		err = how(w.path(name))
		if w.ctx.Err() != nil {
			return "", context.Cause(w.ctx)
		}
		w.made[name] = err
	}
	return w.path(name), err
}

func (w *Workshop) run(dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(w.ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// Go builds a program of this checkout under a name, from the module in dir.
func (w *Workshop) Go(name, dir, pkg string, flags ...string) (string, error) {
	return w.once(name, func(path string) error {
		_, err := w.run(dir, nil, append(append([]string{"go", "build", "-o", path}, flags...), pkg)...)
		return err
	})
}

// C compiles perf/traffic/NAME.c.
func (w *Workshop) C(name string, libraries ...string) (string, error) {
	return w.once(name, func(path string) error {
		args := []string{"cc", "-O2", "-Wall", "-o", path, "perf/traffic/" + name + ".c"}
		_, err := w.run("", nil, append(args, libraries...)...)
		return err
	})
}

// wireGuard builds the latest wireguard-go that there is.
func (w *Workshop) wireGuard() (string, error) {
	return w.once("wireguard", func(path string) error {
		_, err := w.run("", []string{"GOBIN=" + w.dir}, "go", "install", "golang.zx2c4.com/wireguard@latest")
		return err
	})
}

// gateway builds our gateway: with its own tags, or with a cipher that only
// copies.
func (w *Workshop) gateway(null bool) (string, error) {
	if null {
		return w.Go("null-gateway", ".", "./cmd/qzmq-gateway", "-tags", "nullcipher")
	}
	if tags := os.Getenv("GATEWAY_TAGS"); tags != "" { // as make build chose them
		return w.Go("qzmq-gateway", ".", "./cmd/qzmq-gateway", "-tags", tags)
	}
	return w.Go("qzmq-gateway", ".", "./cmd/qzmq-gateway")
}

// identity gives the file of a site's key and its fingerprint.
func (w *Workshop) identity(site string) (file, fingerprint string, err error) {
	control, err := w.Go("qzmqctl", ".", "./cmd/qzmqctl")
	if err != nil {
		return "", "", err
	}
	file, err = w.once("site-"+site+".key", func(path string) error {
		_, err := w.run("", nil, control, "keygen", path)
		return err
	})
	if err != nil {
		return "", "", err
	}
	out, err := w.run("", nil, control, "fingerprint", file)
	return file, strings.TrimSpace(out), err
}

// Context is the one that everything ends with.
func (w *Workshop) Context() context.Context { return w.ctx }

// Output runs a program outside all namespaces and gives what it prints.
func (w *Workshop) Output(args ...string) (string, error) { return w.run("", nil, args...) }
