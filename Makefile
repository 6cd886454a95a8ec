# Every target sets up what it needs by itself, on a fresh Debian or Ubuntu with Go.
# Targets that need root use sudo when they are not run by root.

SHELL := /bin/bash

# Root's PATH under sudo usually lacks the place where Go is.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo env "PATH=$$PATH")

.PHONY: build demo demo-relay demo-down test fuzz chaos bench profile generate lint clean model proof

build:
	tools/setup go
	go build -o bin/ ./cmd/...

# The main job end to end, with a table at the end. KEEP=1 leaves it up to look around.
demo: need-root build
	$(AS_ROOT) tools/setup run
	$(AS_ROOT) env KEEP=$(KEEP) tools/demo/run

# The relay end to end, as an ordinary user.
demo-relay: build
	tools/setup relay
	tools/demo/relay

# Removes what `make demo KEEP=1` has left.
demo-down: need-root
	$(AS_ROOT) tools/demo/run down

# All tests; many make network namespaces and attach XDP programs. The race detector goes over what
# shares memory between goroutines; it slows cryptography down several times, so it runs on these only,
# and not again on thousands of handshakes or vectors one after the other.
test: need-root
	$(AS_ROOT) tools/setup test
	go vet ./...
	$(AS_ROOT) go test -count=1 ./...
	$(AS_ROOT) go test -count=1 -race -skip '^Test(Flip|Published|SuiteVectors)' ./qzmq/... ./dataplane ./controlplane/...
	cd qzmq/zmq4transport/interop && $(AS_ROOT) go test -count=1 -race .

# Every fuzz target, EXECS executions in all; and every bit of a handshake flipped, of which `make test` leaves
# out some that cost a key agreement each (QZMQ_FLIPS=1 to 7 there takes others).
fuzz:
	tools/setup go
	QZMQ_FLIPS=all go test -count=1 -run 'TestFlipEveryBit|TestResumptionTampered' ./qzmq/handshake
	tools/fuzz $(or $(EXECS),10000000)

# The sockets while connections are cut, stalled, delayed and altered all the time, for MINUTES=10; SEED=n
# brings back the faults of another run. `make test` has half a minute of it.
chaos:
	tools/setup go
	go run ./tools/chaos -minutes $(or $(MINUTES),10) -seed $(or $(SEED),0)

# Everything that perf/README.md explains: ratios to rivals and to the machine's limits, in one table at
# the end. About 40 minutes. ONLY="paths zmq" measures parts of it, ROUNDS=n more or less often.
bench: need-root
	$(AS_ROOT) tools/setup bench
	-$(AS_ROOT) tools/setup rivals
	$(AS_ROOT) perf/bench "$(ONLY)" "$(ROUNDS)"

# Where the time goes while TCP crosses; WAYS="gateways superframes superframes-both null wireguard kernel".
profile: need-root
	$(AS_ROOT) tools/setup bench profile
	$(AS_ROOT) go run ./perf/profile $(WAYS)

# The protocol's state machines, searched exhaustively.
model: need-root
	$(AS_ROOT) tools/setup model
	qzmq/model/spin/run

# The symbolic proof as well, for which ProVerif has to be there: Debian does not have it.
proof: model
	qzmq/model/run

# The compiled XDP programs are checked in; this makes them anew from bpf/*.c.
generate: need-root
	$(AS_ROOT) tools/setup generate
	go generate ./bpf/...

lint: need-root
	$(AS_ROOT) tools/setup generate
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt has something to say about:" $$unformatted; exit 1; }
	go vet ./...
	cd perf/asavie && go vet .
	cd qzmq/zmq4transport/interop && go vet .
	cd perf/zmq4 && go vet .
	go tool staticcheck ./...
	bash -n perf/bench && bash -n tools/testbed && bash -n .ci/run && sh -n tools/setup
	bpf/check-generated

clean:
	rm -rf bin

.PHONY: need-root
need-root:
	@test "$$(id -u)" = 0 || command -v sudo >/dev/null || { echo "This needs root (packages, network namespaces, XDP), and there is no sudo: run make as root."; exit 1; }
