"""peer.py TYPE bind|connect ENDPOINT: a libzmq program that knows nothing of QZMQ.

It says what it got on its standard output, one message a line, parts between spaces, and
sends what it reads from its standard input, likewise. A REP or ROUTER answers by itself
with what it got. Heartbeats are on, with little patience.
"""
import sys
import zmq

kind, how, endpoint = sys.argv[1:]
socket = zmq.Context().socket(getattr(zmq, kind))
socket.setsockopt(zmq.HEARTBEAT_IVL, 100)
socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 400)
if kind == "DEALER":
    socket.setsockopt(zmq.IDENTITY, b"python")
if kind == "SUB":
    socket.setsockopt(zmq.SUBSCRIBE, b"weather")
getattr(socket, how)(endpoint)


def say(parts):
    print(" ".join(p.decode() for p in parts), flush=True)


def send():
    socket.send_multipart([word.encode() for word in sys.stdin.readline().split()])


if kind in ("REP", "ROUTER"):
    while True:
        parts = socket.recv_multipart()
        say(parts)
        socket.send_multipart(parts)
while kind == "PUSH":
    send()
while kind in ("PULL", "SUB"):
    say(socket.recv_multipart())
while kind in ("REQ", "DEALER"):
    send()
    say(socket.recv_multipart())
if kind == "XPUB":
    say(socket.recv_multipart())
    while True:
        send()
