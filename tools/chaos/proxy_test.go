package main

import (
	"bytes"
	"io"
	"net"
	"reflect"
	"sync/atomic"
	"testing"
	"time"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// In calm weather nothing happens to a connection, whatever its fate; in a blackout
// nobody gets through, and who is through stays until he is cut.
func TestProxyKeepsToTheWeather(t *testing.T) {
	var sky atomic.Int32
	var counts [kinds]atomic.Int64
	p, err := startProxy(1, 1, &sky, &counts, echo(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	c, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	sent, got := bytes.Repeat([]byte("0123456789abcdef"), 1<<18), make([]byte, 16<<18)
	go c.Write(sent)
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("4 MiB do not come back as they went: %v", err)
	}
	sky.Store(int32(blackout))
	late, err := net.Dial("tcp", p.address())
	if err == nil {
		defer late.Close()
		late.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = late.Read(got)
	}
	if err == nil {
		t.Error("somebody gets through a blackout")
	}
	p.cutAll()
	if _, err := c.Read(got); err == nil {
		t.Error("who was cut reads on")
	}
	for k := range counts {
		if n := counts[k].Load(); n > 0 {
			t.Errorf("%d connections were %s", n, kindNames[k])
		}
	}
}

// A seed brings back the same faults, and another one others.
func TestFateIsTheSeeds(t *testing.T) {
	if !reflect.DeepEqual(fateOf(1, 2, 3), fateOf(1, 2, 3)) {
		t.Error("the same seed has another fate")
	}
	for _, other := range []fate{fateOf(2, 2, 3), fateOf(1, 3, 3), fateOf(1, 2, 4)} {
		if reflect.DeepEqual(fateOf(1, 2, 3), other) {
			t.Error("another connection has the same fate")
		}
	}
	var seen [kinds]bool
	for connection := range 200 {
		f := fateOf(1, 1, connection)
		if f.opening < kinds {
			seen[f.opening] = true
		}
		for _, direction := range f.directions {
			for _, fault := range direction {
				seen[fault.kind] = true
			}
		}
	}
	for k, there := range seen {
		if !there {
			t.Errorf("of 200 connections none is %s", kindNames[k])
		}
	}
}

// Each fault of bytes does what it says.
func TestFaultsSpoil(t *testing.T) {
	piece := make([]byte, 200)
	for i := range piece {
		piece[i] = byte(i)
	}
	for _, c := range []struct {
		kind  kind
		grows func(by int) bool
	}{
		{corrupt, func(by int) bool { return by == 0 }},
		{truncate, func(by int) bool { return by < 0 }},
		{duplicate, func(by int) bool { return by > 0 }},
		{swap, func(by int) bool { return by == 0 }},
		{inject, func(by int) bool { return by > 0 }},
	} {
		for random := range uint64(50) {
			f := fault{kind: c.kind, length: 10, random: random}
			got := f.spoil(bytes.Clone(piece))
			// Bytes at the very end may be too few to change places.
			if by := len(got) - len(piece); !c.grows(by) || by == 0 && c.kind != swap && bytes.Equal(got, piece) {
				t.Errorf("%s: %d bytes become %d", kindNames[c.kind], len(piece), len(got))
			}
		}
	}
}
