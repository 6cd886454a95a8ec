package controlplane

import "testing"

// The kernel is asked, and says no of veth.
func TestZeroCopyOfVeth(t *testing.T) {
	l := newKernelLab(t)
	l.in("gw", func() {
		if has, err := hasZeroCopy("eth1"); err != nil || has {
			t.Errorf("veth: zero copy %t, %v", has, err)
		}
		if _, err := hasZeroCopy("eth7"); err == nil {
			t.Error("an interface that does not exist was asked about")
		}
	})
}
