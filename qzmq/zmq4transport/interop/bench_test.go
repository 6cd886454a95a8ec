package interop

import (
	"fmt"
	"sync"
	"testing"

	"github.com/go-zeromq/zmq4"
)

// One PUSH to one PULL, both zmq4's, over its own TCP in clear and under QZMQ1.
func BenchmarkPushPull(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		for _, security := range []string{"NULL", "QZMQ1"} {
			b.Run(fmt.Sprintf("%d bytes, %s", size, security), func(b *testing.B) {
				pull, push := open(b, zmq4.NewPull), open(b, zmq4.NewPush)
				listen, dial := "tcp", "tcp"
				if security == "QZMQ1" {
					s := newSite(b, nil)
					listen, dial = s.listen, s.dial
				}
				err := pull.Listen(listen + "://127.0.0.1:*")
				if err == nil {
					err = push.Dial(dial + "://" + pull.Addr().String())
				}
				if err != nil {
					b.Fatal(err)
				}
				m := zmq4.NewMsg(make([]byte, size))
				b.SetBytes(int64(size))
				b.ResetTimer()
				var sending sync.WaitGroup
				sending.Go(func() {
					for range b.N {
						if err := push.Send(m); err != nil {
							b.Error(err)
							return
						}
					}
				})
				for range b.N {
					if _, err := pull.Recv(); err != nil {
						b.Fatal(err)
					}
				}
				sending.Wait()
			})
		}
	}
}
