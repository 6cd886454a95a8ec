// Package interop has the tests of package zmq4transport against go-zeromq/zmq4 itself.
//
// It is a module of its own: zmq4 has not been maintained since 2024 and ends its process
// on hostile input, so the product shall not even name it in its go.mod.
package interop
