package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// The READY that libzmq 4.3.4 sends for a DEALER with the identity "me", as captured
// on the wire.
const dealerReady = "\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x02me"

func TestMetadata(t *testing.T) {
	want := Metadata{{"Socket-Type", []byte("DEALER")}, {"Identity", []byte("me")}}
	got, err := ParseMetadata([]byte(dealerReady))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	if b := got.Append(nil); string(b) != dealerReady {
		t.Errorf("it becomes %q", b)
	}
	if v, ok := got.Get("socket-TYPE"); !ok || string(v) != "DEALER" {
		t.Errorf("socket-TYPE is %q, %v", v, ok)
	}
	if _, ok := got.Get("Resource"); ok {
		t.Error("there is a Resource")
	}
	with := got.With("IDENTITY", []byte("you"))
	if b := with.Append(nil); string(b) != "\x0bSocket-Type\x00\x00\x00\x06DEALER\x08IDENTITY\x00\x00\x00\x03you" {
		t.Errorf("with another identity it is %q", b)
	}
	if string(got.Append(nil)) != dealerReady {
		t.Error("With has changed what it was made from")
	}
	if left := got.Without("identity", "socket-type", "other"); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
	if empty, err := ParseMetadata(nil); err != nil || len(empty) != 0 {
		t.Errorf("nothing is %v, %v", empty, err)
	}
}

func TestMetadataRefusals(t *testing.T) {
	for name, b := range map[string]string{
		"empty name":        "\x00\x00\x00\x00\x00",
		"name cut":          "\x05Sock",
		"no size":           "\x01A\x00\x00\x00",
		"value cut":         "\x01A\x00\x00\x00\x02x",
		"size of 32 bits":   "\x01A\xff\xff\xff\xffx",
		"rest":              dealerReady + "\x00",
		"name with a space": "\x03A B\x00\x00\x00\x00",
		"name beyond ASCII": "\x02\xc3\xa4\x00\x00\x00\x00",
		"twice":             dealerReady + "\x08Identity\x00\x00\x00\x01x",
		"twice in case":     dealerReady + "\x08idEntity\x00\x00\x00\x01x",
	} {
		if m, err := ParseMetadata([]byte(b)); !errors.Is(err, ErrMetadata) || m != nil {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	for _, name := range []string{"", "A B", strings.Repeat("A", 256)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("the name %q was taken", name)
				}
			}()
			Metadata{{name, nil}}.Append(nil)
		}()
	}
}

// Whatever is parsed has one encoding.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(dealerReady))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMetadata(b)
		if err == nil && !bytes.Equal(m.Append(nil), b) {
			t.Errorf("%x is read and becomes %x", b, m.Append(nil))
		}
	})
}

func TestSubscriptions(t *testing.T) {
	for _, tc := range []struct {
		topic     string
		subscribe bool
		message   string // flags, size, body
		command   string
	}{
		{"", true, "\x00\x01\x01", "\x04\x0a\x09SUBSCRIBE"},
		{"abc", true, "\x00\x04\x01abc", "\x04\x0d\x09SUBSCRIBEabc"},
		{"abc", false, "\x00\x04\x00abc", "\x04\x0a\x06CANCELabc"},
	} {
		for minor, want := range []string{tc.message, tc.command} {
			b := AppendSubscription(nil, uint8(minor), []byte(tc.topic), tc.subscribe)
			if string(b) != want {
				t.Errorf("3.%d: %q, want %q", minor, b, want)
			}
			f := Frame{Flags: Flags(b[0]), Size: int(b[1]), Body: b[2:]}
			topic, subscribe, ok := ParseSubscription(f)
			if !ok || string(topic) != tc.topic || subscribe != tc.subscribe {
				t.Errorf("3.%d: %q, %v, %v", minor, topic, subscribe, ok)
			}
		}
		run := commandRun([]byte(tc.command))
		if m := run.Subscription(); string(m) != tc.message {
			t.Errorf("as a message it is %q", m)
		}
	}
	// A topic for which one form of the header is long and the other is not.
	for _, n := range []int{244, 245, 246, 253, 254, 255, 256, 70_000} {
		topic := bytes.Repeat([]byte("t"), n)
		run := commandRun(AppendSubscription(nil, 1, topic, true))
		if m := run.Subscription(); !bytes.Equal(m, AppendSubscription(nil, 0, topic, true)) {
			t.Errorf("a topic of %d bytes becomes a message of %d", n, len(m))
		}
	}
	for _, f := range []Frame{
		{Flags: 0, Size: 0},
		{Flags: 0, Size: 2, Body: []byte("\x02x")},
		{Flags: More, Size: 2, Body: []byte("\x01x")},
		{Flags: 0, Size: 3, Body: []byte("\x01x")},
		{Flags: Command, Size: 5, Body: []byte("\x04PING")},
		{Flags: Command, Size: 1, Body: []byte("\x04")},
	} {
		if topic, _, ok := ParseSubscription(f); ok {
			t.Errorf("%v is a subscription to %q", f, topic)
		}
	}
	ping := commandRun(AppendCommand(nil, pingName, []byte("\x00\x10")))
	if m := ping.Subscription(); m != nil {
		t.Errorf("PING is the subscription %q", m)
	}
}

func TestPong(t *testing.T) {
	for n := range 20 {
		ping := fmt.Appendf(nil, "%-20s", "ab0123456789abcdef")[:n]
		context, ok := Pong(ping)
		if ok != (n >= 2 && n <= 18) || ok && string(context) != string(ping[2:]) {
			t.Errorf("a PING of %d bytes: %q, %v", n, context, ok)
		}
	}
}
