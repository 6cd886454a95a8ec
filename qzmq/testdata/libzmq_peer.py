"""A libzmq program that does what it is told, a JSON object a line, and answers each with one.

    {"do": "open", "socket": N, "kind": "REQ", "options": {"ROUTING_ID": HEX or number}}
    {"do": "bind" | "connect" | "subscribe" | "send" | "recv" | "close", "socket": N, ...}
    {"do": "flood" | "count", "socket": N, "count": N, "size": N}  sends, or receives, numbered messages

Parts of messages are in hexadecimal. The answer to what cannot be done in time is {"failed": WHY}.
"""
import json
import sys
import zmq

context = zmq.Context()
sockets = {}


def do(c):
    if c["do"] == "open":
        s = sockets[c["socket"]] = context.socket(getattr(zmq, c["kind"]))
        s.linger = 0
        s.sndtimeo = 5000
        for name, value in c["options"].items():
            s.setsockopt(getattr(zmq, name), bytes.fromhex(value) if isinstance(value, str) else value)
        return {}
    s = sockets[c["socket"]]
    if c["do"] == "bind":
        s.bind(c["at"])
        return {"at": s.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()}
    if c["do"] == "connect":
        s.connect(c["at"])
    elif c["do"] == "subscribe":
        s.setsockopt(zmq.SUBSCRIBE, bytes.fromhex(c["topic"]))
    elif c["do"] == "send":
        s.send_multipart([bytes.fromhex(p) for p in c["parts"]])
    elif c["do"] == "recv":
        s.rcvtimeo = c["within"]
        return {"parts": [p.hex() for p in s.recv_multipart()]}
    elif c["do"] == "flood":
        for i in range(c["count"]):
            s.send_multipart([b"%d" % i, bytes(c["size"])])
    elif c["do"] == "count":
        s.rcvtimeo = 20000
        for i in range(c["count"]):
            number, body = s.recv_multipart()
            if number != b"%d" % i or len(body) != c["size"]:
                return {"failed": "message %d is number %s, of %d bytes" % (i, number.decode(), len(body))}
    elif c["do"] == "close":
        s.close()
    return {}


for line in sys.stdin:
    try:
        answer = do(json.loads(line))
    except zmq.ZMQError as e:
        answer = {"failed": str(e)}
    print(json.dumps(answer), flush=True)
