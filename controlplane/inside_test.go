package controlplane

import (
	"errors"
	"testing"
)

func TestBestIO(t *testing.T) {
	for _, test := range []struct {
		driver   string
		zeroCopy bool
		noTCX    error
		io       IO
		why      string
	}{
		{"veth", false, nil, IOSuperframe, "virtual driver veth"},
		{"tun", false, nil, IOSuperframe, "virtual driver tun"},
		{"mlx5_core", false, nil, IOXDP, "driver mlx5_core"},
		{"", false, nil, IOXDP, "driver "},
		{"veth", false, errors.New("too old"), IOXDP, "virtual driver veth, but too old"},
		{"ice", false, errors.New("too old"), IOXDP, "driver ice"},
		{"virtio_net", true, nil, IOXDP, "zero copy, driver virtio_net"},
		{"mlx5_core", true, nil, IOXDP, "zero copy, driver mlx5_core"},
	} {
		if io, why := bestIO(test.driver, test.zeroCopy, test.noTCX); io != test.io || why != test.why {
			t.Errorf("%q, %t, %v: %s because %q, want %s because %q", test.driver, test.zeroCopy, test.noTCX, io, why, test.io, test.why)
		}
	}
}

func TestMemoryOf(t *testing.T) {
	for _, test := range []struct {
		zeroCopy, sockets int
		want              string
	}{{0, 0, ""}, {0, 2, "copy"}, {1, 2, "mixed"}, {2, 2, "zero copy"}} {
		if got := memoryOf(test.zeroCopy, test.sockets); got != test.want {
			t.Errorf("%d of %d sockets: %q, want %q", test.zeroCopy, test.sockets, got, test.want)
		}
	}
}
