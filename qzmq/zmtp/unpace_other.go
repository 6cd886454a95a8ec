//go:build !linux

package zmtp

import "net"

func unpace(net.Conn) {}
