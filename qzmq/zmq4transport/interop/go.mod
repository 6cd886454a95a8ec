module github.com/qzmq/gateway/qzmq/zmq4transport/interop

go 1.26.4

require (
	github.com/go-zeromq/zmq4 v0.17.0
	github.com/qzmq/gateway v0.0.0
)

require (
	github.com/cloudflare/circl v1.6.5 // indirect
	github.com/go-zeromq/goczmq/v4 v4.2.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/qzmq/gateway => ../../..
