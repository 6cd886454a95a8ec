"""Programs on libzmq that know nothing of relays, a case each.

    programs.py CASE FRONT BACK [ARGUMENT...]

One side of a case connects to FRONT, the other is bound to BACK; the same case runs
without a relay when both are the same. A case that holds prints "passed" at its end.
"""

import sys
import threading
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

context = zmq.Context()
TIMEOUT = 10_000


def socket(kind, **options):
    s = context.socket(kind)
    s.RCVTIMEO = s.SNDTIMEO = TIMEOUT
    s.LINGER = 0
    for name, value in options.items():
        setattr(s, name, value)
    return s


def bound(kind, **options):
    s = socket(kind, **options)
    s.bind(back)
    return s


def connected(kind, **options):
    s = socket(kind, **options)
    s.connect(front)
    return s


BLOCK = bytes((i * 7 + i // 256) & 255 for i in range(65_521))


def pattern(size, seed=0):
    return (BLOCK * (size // len(BLOCK) + 2))[seed % len(BLOCK):][:size]


# What passes in one direction: sizes around every limit of frames and records, parts
# that are empty, many parts.
SIZES = [0, 1, 63, 64, 255, 256, 1000, 8182, 8183, 8184, 30_000, 65_510, 65_518, 65_519, 65_520, 65_535, 65_536, 131_072, 1_000_000]


def bodies(large):
    for size in SIZES + ([16 << 20, 64 << 20] if large else []):
        yield [pattern(size, size)]
    yield [b""]
    yield [b"", b"", b""]
    yield [b"a", b"", pattern(70_000), b"", b"z"]
    yield [pattern(i % 300) for i in range(1000)]
    for i in range(200):
        yield [b"%d" % i]


# Types that talk to each other, and how the second answers the first, if it does.
PAIRS = {
    "REQ/REP": (zmq.REQ, zmq.REP, True),
    "DEALER/ROUTER": (zmq.DEALER, zmq.ROUTER, True),
    "DEALER/REP": (zmq.DEALER, zmq.REP, True),
    "REQ/ROUTER": (zmq.REQ, zmq.ROUTER, True),
    "DEALER/DEALER": (zmq.DEALER, zmq.DEALER, True),
    "ROUTER/ROUTER": (zmq.ROUTER, zmq.ROUTER, True),
    "PUSH/PULL": (zmq.PUSH, zmq.PULL, False),
    "PUB/SUB": (zmq.PUB, zmq.SUB, False),
    "XPUB/XSUB": (zmq.XPUB, zmq.XSUB, False),
    "PUB/XSUB": (zmq.PUB, zmq.XSUB, False),
    "XPUB/SUB": (zmq.XPUB, zmq.SUB, False),
    "PAIR/PAIR": (zmq.PAIR, zmq.PAIR, True),
}


def case_pair(name, binder, large="no"):
    """One pair of types, with the first or the second of them bound."""
    first, second, answers = PAIRS[name]
    options = {"SNDHWM": 0, "RCVHWM": 0}
    if name == "ROUTER/ROUTER":
        options["ROUTER_MANDATORY"] = 1
    one_options, two_options = dict(options), dict(options)
    if first == zmq.ROUTER:
        one_options["IDENTITY"], two_options["IDENTITY"] = b"one", b"two"
    if binder == "first":
        one, two = bound(first, **one_options), connected(second, **two_options)
    else:
        two, one = bound(second, **two_options), connected(first, **one_options)
    subscribe(one, two, second, first == zmq.XPUB and binder == "first")
    if first == zmq.ROUTER:
        until_routed(one, b"two")
        two.recv_multipart()

    for i, parts in enumerate(bodies(large == "large")):
        envelope = [b""] if first == zmq.DEALER and second == zmq.REP else []
        to = [b"two"] if first == zmq.ROUTER else []
        one.send_multipart(to + envelope + parts, copy=False)
        got = two.recv_multipart()
        sender = []
        if second == zmq.ROUTER:
            sender, got = got[:1], got[1:]
        if first == zmq.REQ and second == zmq.ROUTER:
            sender, got = sender + got[:1], got[1:]
        same(got, parts, "%s, message %d" % (name, i))
        if answers:
            reply = [b"re"] + parts
            two.send_multipart(sender + reply, copy=False)
            back_again = one.recv_multipart()
            if first == zmq.ROUTER:
                same(back_again[:1], [b"two"], "sender")
                back_again = back_again[1:]
            same(back_again, envelope + reply, "%s, answer %d" % (name, i))


def subscribe(one, two, second, reports):
    """Returns when the subscription is there. A PUB does not tell, nor does the XPUB of
    libzmq 4.3.4 when it is the side that connects."""
    if second == zmq.SUB:
        two.SUBSCRIBE = b""
    elif second == zmq.XSUB:
        two.send(b"\x01")
    else:
        return
    if reports:
        same([one.recv()], [b"\x01"], "subscription")
        return
    two.RCVTIMEO = 50
    while True:
        one.send(b"are you there")
        try:
            two.recv()
            break
        except zmq.Again:
            pass
    two.RCVTIMEO = 300
    try:
        while True:
            two.recv()
    except zmq.Again:
        two.RCVTIMEO = TIMEOUT


def until_routed(s, to):
    while True:
        try:
            s.send_multipart([to, b"hello"])
            return
        except zmq.ZMQError as e:
            if e.errno != zmq.EHOSTUNREACH:
                raise
            time.sleep(0.02)


def same(got, want, what):
    if got != want:
        raise SystemExit("%s: %d parts of %s bytes come, want %d of %s" % (
            what, len(got), [len(p) for p in got[:9]], len(want), [len(p) for p in want[:9]]))


def case_identities():
    """A ROUTER knows its peers by the identities that they gave themselves."""
    router = bound(zmq.ROUTER)
    names = [b"alpha", b"beta", "größe".encode(), b"\x01\x02", b"x" * 255]
    dealers = {name: connected(zmq.DEALER, IDENTITY=name) for name in names}
    for name, d in dealers.items():
        d.send_multipart([b"I am", name])
    for _ in names:
        sender, verb, name = router.recv_multipart()
        same([sender], [name], "identity")
        router.send_multipart([sender, b"you are", sender])
    for name, d in dealers.items():
        same(d.recv_multipart(), [b"you are", name], "answer")


def case_robin():
    """Three workers share what a bound PUSH gives out, evenly."""
    push = bound(zmq.PUSH)
    workers = [connected(zmq.PULL) for _ in range(3)]
    counts = [0, 0, 0]
    time.sleep(1)
    for i in range(300):
        push.send(b"%d" % i)
    poller = zmq.Poller()
    for w in workers:
        poller.register(w, zmq.POLLIN)
    seen = set()
    while len(seen) < 300:
        ready = poller.poll(TIMEOUT)
        if not ready:
            raise SystemExit("%d jobs of 300 have come: %s" % (len(seen), counts))
        for s, _ in ready:
            counts[workers.index(s)] += 1
            seen.add(int(s.recv()))
    same([b"%d" % c for c in counts], [b"100"] * 3, "jobs %s" % counts)


def case_subscriptions():
    """What was not asked for does not come, and what was withdrawn comes no more."""
    xpub = bound(zmq.XPUB)
    sub = connected(zmq.SUB)
    for topic in (b"a.", b"b."):
        sub.SUBSCRIBE = topic
        same([xpub.recv()], [b"\x01" + topic], "subscription")
    for round_, topics in enumerate([[b"a.", b"b."], [b"a."]]):
        for i in range(100):
            for t in (b"a.", b"b.", b"c."):
                xpub.send_multipart([t, b"%d" % i])
        for i in range(100):
            for t in topics:
                same(sub.recv_multipart(), [t, b"%d" % i], "round %d" % round_)
        if round_ == 0:
            sub.UNSUBSCRIBE = b"b."
            same([xpub.recv()], [b"\x00b."], "withdrawal")
    long = b"t" * 300
    sub.SUBSCRIBE = long
    same([xpub.recv()], [b"\x01" + long], "a long topic")
    sub.close()
    gone = {xpub.recv(), xpub.recv()}
    same(sorted(gone), sorted([b"\x00a.", b"\x00" + long]), "the end of a subscriber")


def case_resubscribe():
    """A subscriber subscribes anew when its connection was lost; says when it is served."""
    xpub = bound(zmq.XPUB, XPUB_VERBOSE=1)
    sub = connected(zmq.SUB)
    sub.SUBSCRIBE = b"a."
    for turn in range(2):
        deadline = time.time() + TIMEOUT / 1000
        while not (xpub.poll(10) and xpub.recv() == b"\x01a."):
            sub.poll(0)  # libzmq subscribes anew when its program looks after the socket
            if time.time() > deadline:
                raise SystemExit("no subscription has come in turn %d" % turn)
        for i in range(50):
            xpub.send_multipart([b"a.", b"%d" % i])
            xpub.send_multipart([b"b.", b"%d" % i])
            same(sub.recv_multipart(), [b"a.", b"%d" % i], "turn %d" % turn)
        print("served", flush=True)


def case_metadata(fingerprint):
    """A program sees who its peer has proved to be, whatever else that peer says."""
    rep = bound(zmq.REP)
    req = connected(zmq.REQ)
    req.send(b"who am I")
    m = rep.recv(copy=False)
    rep.send(b"you")
    r = req.recv(copy=False)
    for name in ("User-Id", "X-QZMQ-Peer"):
        same([m.get(name).encode()], [fingerprint.split(",")[0].encode()], name + " at the server")
        same([r.get(name).encode()], [fingerprint.split(",")[1].encode()], name + " at the client")
    same([m.get("Socket-Type").encode(), r.get("Socket-Type").encode()], [b"REQ", b"REP"], "types")


def case_incompatible():
    """Types that do not go together are refused, end to end."""
    for first, second in ((zmq.PUSH, zmq.REP), (zmq.SUB, zmq.PULL), (zmq.REQ, zmq.PAIR)):
        b = bound(second)
        c = socket(first)
        monitor = c.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
                                       | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_DISCONNECTED)
        c.connect(front)
        monitor.RCVTIMEO = TIMEOUT
        events = [recv_monitor_message(monitor)["event"]]
        while monitor.poll(500):
            events.append(recv_monitor_message(monitor)["event"])
        if zmq.EVENT_HANDSHAKE_SUCCEEDED in events:
            raise SystemExit("types %d and %d came together" % (first, second))
        c.disable_monitor()
        c.close()
        b.close()
        time.sleep(0.1)
    case_pair("REQ/REP", "second")


def case_late():
    """A client that is there before its server, with messages waiting."""
    push = connected(zmq.PUSH)
    for i in range(100):
        push.send(b"%d" % i)
    time.sleep(1.5)
    pull = bound(zmq.PULL)
    for i in range(100):
        same([pull.recv()], [b"%d" % i], "early message")


def case_echo():
    """A server that echoes, a client that asks without end; says how it goes."""
    threading.Thread(target=echo_server, daemon=True).start()
    echo_client()


def echo_server():
    rep = bound(zmq.ROUTER)
    rep.RCVTIMEO = -1
    while True:
        rep.send_multipart(rep.recv_multipart())


def case_echo_server():
    echo_server()


def case_echo_client():
    echo_client()


def echo_client():
    dealer = connected(zmq.DEALER, RCVTIMEO=300, SNDTIMEO=300)
    n, said = 0, None
    while True:
        n += 1
        ok = False
        try:
            dealer.send(b"%d" % n)
            deadline = time.time() + 0.4
            while time.time() < deadline:
                if dealer.recv() == b"%d" % n:
                    ok = True
                    break
        except zmq.Again:
            pass
        if ok != said:
            said = ok
            print("works" if ok else "broken", flush=True)
        time.sleep(0.02)


def case_heartbeat():
    """Beats pass; says when the peer was lost and found again."""
    threading.Thread(target=echo_server, daemon=True).start()
    dealer = socket(zmq.DEALER, HEARTBEAT_IVL=200, HEARTBEAT_TIMEOUT=1500, HEARTBEAT_TTL=2000)
    monitor = dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
    dealer.connect(front)
    while True:
        event = recv_monitor_message(monitor)["event"]
        print("lost" if event == zmq.EVENT_DISCONNECTED else "found", flush=True)


def case_beats(client, server, interval, timeout, ttl, beaters):
    """Two programs that say nothing but heartbeats, the client's or both; says when the
    server has found its peer and lost it."""
    beats = {"HEARTBEAT_IVL": int(interval), "HEARTBEAT_TIMEOUT": int(timeout), "HEARTBEAT_TTL": int(ttl)}
    s = socket(getattr(zmq, server), **(beats if beaters in ("both", "server") else {}))
    monitor = s.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
    s.bind(back)
    print("bound", flush=True)
    if client != "none":
        c = socket(getattr(zmq, client), **(beats if beaters in ("both", "client") else {}))
        c.connect(front)
    while True:
        event = recv_monitor_message(monitor)["event"]
        print("lost" if event == zmq.EVENT_DISCONNECTED else "found", flush=True)


def case_knocking(kind="PAIR"):
    """A client that says a word and waits for the echo; says each time that it is turned
    away, and when it is served. Nobody helps it to try again."""
    pair = socket(getattr(zmq, kind), RCVTIMEO=-1)
    monitor = pair.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    pair.connect(front)
    pair.send(sys.stdin.readline().strip().encode())
    poller = zmq.Poller()
    poller.register(pair, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    while True:
        for s, _ in poller.poll():
            if s is pair:
                pair.recv()
                print("served", flush=True)
                return
            event = recv_monitor_message(monitor)["event"]
            print("let in" if event == zmq.EVENT_HANDSHAKE_SUCCEEDED else "turned away", flush=True)


def case_pressure():
    """A sender comes to its high-water mark when the receiver does not read, and
    nothing is lost when it does."""
    pull = bound(zmq.PULL, RCVHWM=10)
    push = connected(zmq.PUSH, SNDHWM=10, SNDTIMEO=2000)
    body = pattern(100_000)
    sent = 0
    try:
        while True:
            push.send_multipart([b"%d" % sent, body], copy=False)
            sent += 1
            if sent > 2000:
                raise SystemExit("200 MB were sent to a receiver that does not read")
    except zmq.Again:
        print("full", flush=True)
    for i in range(sent):
        same(pull.recv_multipart(), [b"%d" % i, body], "message after pressure")
    push.send(b"more")
    same([pull.recv()], [b"more"], "after all")


def case_linger():
    """What a sender has left behind when it ended arrives, however slow the receiver."""
    pull = bound(zmq.PULL, RCVHWM=5)
    push = connected(zmq.PUSH, SNDHWM=0, LINGER=30_000)
    body = pattern(200_000)
    for i in range(150):
        push.send_multipart([b"%d" % i, body], copy=False)
    push.close()
    time.sleep(4)
    for i in range(150):
        same(pull.recv_multipart(), [b"%d" % i, body], "message of a sender that is gone")
        time.sleep(0.01)


def case_stalled(peers):
    """Many receivers that do not read, each with a full pipe; waits for a line."""
    router = bound(zmq.ROUTER, SNDHWM=4, SNDTIMEO=0, ROUTER_MANDATORY=1)
    names = [b"peer%d" % i for i in range(int(peers))]
    dealers = [connected(zmq.DEALER, IDENTITY=n, RCVHWM=1) for n in names]
    for d in dealers:
        d.send(b"here")
    for _ in names:
        router.recv_multipart()
    body = pattern(1 << 20)
    idle = time.time()
    while time.time() - idle < 2:
        for n in names:
            try:
                router.send_multipart([n, body], copy=False)
                idle = time.time()
            except zmq.Again:
                pass
    print("stalled", flush=True)
    sys.stdin.readline()


def case_serve_until_told(kind):
    s = bound(getattr(zmq, kind))
    print("bound", flush=True)
    sys.stdin.readline()
    s.close()


if __name__ == "__main__":
    case, front, back = sys.argv[1:4]
    globals()["case_" + case](*sys.argv[4:])
    context.destroy(linger=0)
    print("passed", flush=True)
