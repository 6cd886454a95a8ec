package zmtp

import (
	"fmt"
	"testing"
)

// Messages through both ends of a session over the loopback, as a socket sends
// them that always has some waiting.
func BenchmarkMessages(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ca, cb := sessionsOver(b, tcpPipe)
			body := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				for i := range b.N {
					if err := ca.QueueMessage(body); err != nil {
						b.Error(err)
					}
					if i%64 == 63 {
						ca.Flush()
					}
				}
				ca.Flush()
			}()
			for range b.N {
				if _, err := cb.ReadMessage(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
