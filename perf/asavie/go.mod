module github.com/qzmq/gateway/perf/asavie

go 1.26.4

require (
	github.com/asavie/xdp v0.3.3
	golang.org/x/sys v0.49.0
)

require (
	github.com/cilium/ebpf v0.22.0 // indirect
	github.com/vishvananda/netlink v1.3.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
)
