package controlplane

import (
	"errors"
	"testing"
)

func TestBestIO(t *testing.T) {
	for _, test := range []struct {
		driver string
		noTCX  error
		io     InsideIO
		why    string
	}{
		{"veth", nil, IOSuperframe, "virtual driver veth"},
		{"tun", nil, IOSuperframe, "virtual driver tun"},
		{"mlx5_core", nil, IOXDP, "driver mlx5_core"},
		{"", nil, IOXDP, "driver "},
		{"veth", errors.New("too old"), IOXDP, "virtual driver veth, but too old"},
		{"ice", errors.New("too old"), IOXDP, "driver ice"},
	} {
		if io, why := bestIO(test.driver, test.noTCX); io != test.io || why != test.why {
			t.Errorf("%q, %v: %s because %q, want %s because %q", test.driver, test.noTCX, io, why, test.io, test.why)
		}
	}
}
