"""Takes packets off an interface with tcpdump and says what they are.

A capture that has lost packets proves nothing about what was not on the wire, so the kernel's count
of drops is part of the result.
"""

import collections
import os
import re
import signal
import struct
import subprocess
import time

from programs import Failure

# The addresses of the two gateways on the outside, and the one port they may speak on.
GATEWAYS = {bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])}
PORT = 5580

SEALED, CONTROL, NEIGHBOURS, MULTICAST = "sealed packets, UDP 5580", "control channel, TCP 5580", \
    "neighbour discovery (ARP, ND)", "multicast listener reports"
EXPECTED = (SEALED, CONTROL, NEIGHBOURS, MULTICAST)


class Capture:
    """One running tcpdump; whole packets, written to a file."""

    def __init__(self, programs, namespace, interface, path, expression=""):
        self.path = path
        with open(path + ".log", "w") as log:
            # 64 MiB of ring buffer bridge the moments in which tcpdump gets no processor. It stays
            # root, because the directory it writes to is open to root only.
            self.process = programs.start(
                namespace, "tcpdump", "-i", interface, "-n", "-s", "0", "-B", "65536", "-Z", "root", "-w", path,
                *expression.split(), stdout=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + 10
        while "listening on" not in self.log():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"tcpdump did not start: {self.log().strip()}")
            time.sleep(0.02)

    def log(self):
        with open(self.path + ".log") as file:
            return file.read()

    def stop(self):
        """Ends tcpdump once the file has stopped growing; returns how many packets the kernel dropped."""
        size, quiet = -1, 0
        deadline = time.monotonic() + 30
        # The kernel hands its last, partly filled block over within a second.
        while quiet < 6 and time.monotonic() < deadline:
            time.sleep(0.25)
            now = os.path.getsize(self.path)
            size, quiet = now, quiet + 1 if now - size < 4096 else 0
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        dropped = re.search(r"(\d+) packets? dropped by kernel", self.log())
        if dropped is None:
            raise Failure(f"tcpdump ended badly: {self.log().strip()}")
        return int(dropped.group(1))


class Contents:
    """What a capture holds: frames and bytes of each kind, and how many frames show the marker."""

    def __init__(self, path, marker):
        self.frames = collections.Counter()
        self.bytes = collections.Counter()
        self.marked = 0
        for frame in frames(path):
            kind = classify(frame)
            self.frames[kind] += 1
            self.bytes[kind] += len(frame)
            self.marked += marker in frame

    def unexpected(self):
        return {kind: n for kind, n in self.frames.items() if kind not in EXPECTED}


def frames(path):
    """The frames of a pcap file in the byte order of this machine, which is what tcpdump writes."""
    with open(path, "rb", buffering=1 << 20) as file:
        header = file.read(24)
        if len(header) < 24 or struct.unpack("=I", header[:4])[0] not in (0xA1B2C3D4, 0xA1B23C4D):
            raise Failure(f"{path} is no pcap file")
        while len(record := file.read(16)) == 16:
            kept, length = struct.unpack("=8xII", record)
            if kept != length:
                raise Failure(f"{path} holds a frame that is cut short")
            yield file.read(kept)


def classify(frame):
    """The kind of an Ethernet frame as it may be on the outside, or a description of what it is instead."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == 0x0806:
        return NEIGHBOURS
    if ethertype == 0x0800:
        head = 14 + 4 * (frame[14] & 15)
        fragment = int.from_bytes(frame[20:22], "big") & 0x3FFF
        return "a fragment of IPv4" if fragment else classify_ip(frame[23], frame[26:30], frame[30:34], frame[head:])
    if ethertype == 0x86DD:
        protocol, head = frame[20], 54
        if protocol == 0:  # hop-by-hop options stand before a multicast listener report
            protocol, head = frame[54], 54 + 8 * (frame[55] + 1)
        return classify_ip(protocol, frame[22:38], frame[38:54], frame[head:])
    return f"ethertype 0x{ethertype:04x}"


def classify_ip(protocol, source, destination, rest):
    if protocol in (6, 17):
        ports = struct.unpack("!HH", rest[:4])
        if PORT in ports and {source, destination} == GATEWAYS:
            return CONTROL if protocol == 6 else SEALED
        return f"{'TCP' if protocol == 6 else 'UDP'} to port {ports[1]}"
    if protocol == 58 and 133 <= rest[0] <= 137:
        return NEIGHBOURS
    if protocol == 58 and rest[0] in (130, 131, 132, 143):
        return MULTICAST
    return f"IP protocol {protocol}" + (f", ICMP type {rest[0]}" if protocol in (1, 58) else "")
