package qzmq

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cpu has a benchmark report the processor time of both sides too, which other
// programs on the machine change less than the time on the wall.
func cpu(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkPushPull is one sender and one receiver on loopback TCP, a message for each
// call of Send and Recv.
func BenchmarkPushPull(b *testing.B) {
	for _, mechanism := range []string{"QZMQ1", "NULL", "inproc"} {
		for _, size := range []int{64, 1 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", mechanism, size), func(b *testing.B) {
				x, y := sites(b, mechanism == "NULL", nil)
				url := "tcp://127.0.0.1:*"
				if mechanism == "inproc" {
					y, url = x, "inproc://bench"
				}
				pull, push := open(b, y, PULL), open(b, x, PUSH)
				connect(b, push, bind(b, pull, url))
				body := make([]byte, size)
				send(b, push, "first")
				expect(b, pull, "first")
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				defer cpu(b)()
				go func() {
					for range b.N {
						if err := push.Send(body); err != nil {
							b.Error(err)
							return
						}
					}
				}()
				for range b.N {
					if m, err := pull.Recv(); err != nil || len(m) != size {
						b.Fatal(len(m), err)
					}
				}
			})
		}
	}
}

// BenchmarkRoundTrip is a request and its reply.
func BenchmarkRoundTrip(b *testing.B) {
	for _, mechanism := range []string{"QZMQ1", "NULL", "inproc"} {
		for _, size := range []int{64, 1 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", mechanism, size), func(b *testing.B) {
				x, y := sites(b, mechanism == "NULL", nil)
				url := "tcp://127.0.0.1:*"
				if mechanism == "inproc" {
					y, url = x, "inproc://bench"
				}
				rep, req := open(b, y, REP), open(b, x, REQ)
				connect(b, req, bind(b, rep, url))
				go func() {
					for {
						m, err := rep.Recv()
						if err != nil || rep.Send(m) != nil {
							return
						}
					}
				}()
				body := make([]byte, size)
				ask := func() {
					if err := req.Send(body); err != nil {
						b.Fatal(err)
					}
					if m, err := req.Recv(); err != nil || len(m) != size {
						b.Fatal(len(m), err)
					}
				}
				ask()
				b.ReportAllocs()
				b.ResetTimer()
				defer cpu(b)()
				for range b.N {
					ask()
				}
			})
		}
	}
}

// BenchmarkPublish gives every message to so many subscribers, and waits for all.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		for _, size := range []int{64, 1 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%d/%d", n, size), func(b *testing.B) {
				x, y := sites(b, false, nil)
				pub := open(b, x, XPUB, "xpub_nodrop", true)
				url := bind(b, pub, "tcp://127.0.0.1:*")
				var all sync.WaitGroup
				for range n {
					sub := open(b, y, SUB, "rcvtimeo", 60*time.Second)
					sub.Subscribe("")
					connect(b, sub, url)
					all.Go(func() {
						for range b.N {
							if _, err := sub.Recv(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				subscribed(b, pub, n)
				body := make([]byte, size)
				b.SetBytes(int64(size) * int64(n))
				b.ReportAllocs()
				b.ResetTimer()
				defer cpu(b)()
				for range b.N {
					if err := pub.Send(body); err != nil {
						b.Fatal(err)
					}
				}
				all.Wait()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
			})
		}
	}
}
