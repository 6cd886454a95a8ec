#!/usr/bin/python3
"""Plain ZeroMQ programs, as they run on hosts that know nothing of any gateway.

Each role is one end of a pattern on real libzmq. What is sent follows from a seed and the number of
the message alone, so the receiving end computes every message for itself and compares every byte:

    messages.py rep  bind    tcp://10.2.0.2:5555     (answers)
    messages.py req  connect tcp://10.2.0.2:5555     (asks)
    messages.py pub|sub|push|pull bind|connect ENDPOINT

Both ends print one JSON line: messages, bytes, seconds and the SHA-256 of all message contents sent
(rep, pub, push) or compared (req, sub, pull), so the two lines must agree but for the seconds. The
first wrong byte, and a silence of --timeout seconds, end a program with one sentence and exit code 1.
"""

import argparse
import hashlib
import json
import sys
import time

import zmq

# Stands at the head of every part that has room for it; whoever can find it on a wire can read it.
MARKER = b"QZMQ demo: this sentence is plaintext. "

# Both sides of the steps in ZMTP's framing (255/256 bytes), of one packet (1400 and the like), of the
# 64 KiB that one sealed record may hold; and the empty part, which is a legal one.
SIZES = (0, 1, 39, 255, 256, 1399, 1400, 1460, 4096, 16384, 65535, 65536)

TOPIC = b"orders"
SILENCE = 100  # milliseconds in which nothing more may come
KINDS = {"req": zmq.REQ, "rep": zmq.REP, "pub": zmq.XPUB, "sub": zmq.SUB, "push": zmq.PUSH, "pull": zmq.PULL}


class Wrong(Exception):
    """Something that a gateway must never let happen; the text is the sentence to show."""


def part(seed, size):
    head = MARKER if size >= len(MARKER) else b""
    return head + hashlib.shake_128(seed.encode()).digest(size - len(head))


def message(args, direction, index):
    """The parts of message number index: one to three of them, or one of args.size bytes."""
    seed = f"{args.seed} {direction} {index}"
    if args.size:
        return [part(seed, args.size)]
    return [part(f"{seed} {n}", SIZES[(5 * index + 7 * n) % len(SIZES)]) for n in range(1 + index % 3)]


class Ledger:
    """The account of one end; its clock runs from the first message to the last."""

    def __init__(self):
        self.messages, self.bytes, self.hash = 0, 0, hashlib.sha256()
        self.start = self.last = None

    def add(self, parts):
        self.last = time.monotonic()
        self.start = self.start or self.last
        self.messages += 1
        for p in parts:
            self.bytes += len(p)
            self.hash.update(p)
        return parts

    def compare(self, got, want):
        if len(got) != len(want):
            raise Wrong(f"message {self.messages} has {len(got)} parts, {len(want)} were sent")
        for n, (g, w) in enumerate(zip(got, want)):
            if g != w:
                at = next((i for i, (x, y) in enumerate(zip(g, w)) if x != y), min(len(g), len(w)))
                raise Wrong(f"message {self.messages}, part {n} of {len(w)} bytes: "
                            f"{len(g)} bytes came, the first difference is at byte {at}")
        self.add(got)

    def print(self):
        print(json.dumps({"messages": self.messages, "bytes": self.bytes,
                          "seconds": round(self.last - self.start, 4), "sha256": self.hash.hexdigest()}), flush=True)


def req(sock, args, ledger):
    ledger.start = time.monotonic()
    for i in range(args.count):
        sock.send_multipart(message(args, "question", i))
        ledger.compare(sock.recv_multipart(), message(args, "answer", i))


def rep(sock, args, ledger):
    questions = Ledger()
    for i in range(args.count):
        questions.compare(sock.recv_multipart(), message(args, "question", i))
        sock.send_multipart(ledger.add(message(args, "answer", i)))


def push(sock, args, ledger):
    for i in range(args.count):
        sock.send_multipart(ledger.add(message(args, "work", i)))


def pull(sock, args, ledger):
    for i in range(args.count):
        ledger.compare(sock.recv_multipart(), message(args, "work", i))
    expect_silence(sock)


def pub(sock, args, ledger):
    # An XPUB is a PUB that also tells of subscriptions. Nothing is published before the subscriber's
    # has arrived, so the subscriber can count on every message from the first on.
    expect_notice(sock, b"\x01" + TOPIC)
    for i in range(args.count):
        sock.send_multipart(ledger.add([TOPIC, *message(args, "news", i)]))
        if i % 5 == 0:
            sock.send_multipart([b"other topic", b"nobody has asked for this"])
    # The subscriber takes its subscription back when it has everything.
    expect_notice(sock, b"\x00" + TOPIC)


def expect_notice(sock, want):
    notice = sock.recv()
    if notice != want:
        raise Wrong(f"the notice of a subscription is {notice!r}, not {want!r}")


def sub(sock, args, ledger):
    for i in range(args.count):
        ledger.compare(sock.recv_multipart(), [TOPIC, *message(args, "news", i)])
    expect_silence(sock)
    sock.unsubscribe(TOPIC)


def expect_silence(sock):
    """A message too many, or one delivered twice, is as wrong as a missing one."""
    if sock.poll(SILENCE):
        raise Wrong("a message came after the last one")


ROLES = {"req": req, "rep": rep, "push": push, "pull": pull, "pub": pub, "sub": sub}


def open_socket(context, args):
    sock = context.socket(KINDS[args.role])
    sock.ipv6 = "[" in args.endpoint
    sock.rcvtimeo = sock.sndtimeo = args.timeout * 1000
    # What is still in the queue when a sender has finished keeps its program alive this long at most.
    sock.linger = args.timeout * 1000
    if args.role in ("pub", "sub"):
        # A publisher drops what its queue has no room for; without a limit none is dropped and an
        # exact count is possible.
        sock.sndhwm = sock.rcvhwm = 0
    if args.role == "sub":
        sock.subscribe(TOPIC)
    (sock.bind if args.side == "bind" else sock.connect)(args.endpoint)
    return sock


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("side", choices=("bind", "connect"))
    parser.add_argument("endpoint")
    parser.add_argument("--count", type=int, default=600, help="messages to send or to expect")
    parser.add_argument("--size", type=int, default=0, help="bytes of each message; 0 is the mixture of sizes and parts")
    parser.add_argument("--seed", default="qzmq", help="both ends need the same")
    parser.add_argument("--timeout", type=int, default=15, help="seconds of silence that count as a failure")
    args = parser.parse_args()
    context = zmq.Context()
    sock = open_socket(context, args)
    ledger = Ledger()
    try:
        ROLES[args.role](sock, args, ledger)
        ledger.print()
    except zmq.Again:
        sock.linger = 0
        sys.exit(f"{args.role}: {args.timeout} seconds passed and nothing moved")
    except Wrong as wrong:
        sock.linger = 0
        sys.exit(f"{args.role}: {wrong}")
    finally:
        sock.close()
        context.term()


if __name__ == "__main__":
    main()
