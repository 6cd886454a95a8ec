"""Asks a gateway over its admin port, from inside its namespace, and shows what it has counted."""

import re
import subprocess

from programs import Failure

ADMIN = "http://127.0.0.1:9580"
FETCH = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1], timeout=2).read().decode())"
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def fetch(site, path):
    """The body that the gateway of a site answers with, or None when it does not answer with success."""
    asked = subprocess.run(["ip", "netns", "exec", f"qz-gw-{site}", "/usr/bin/python3", "-c", FETCH, ADMIN + path],
                           capture_output=True, text=True, timeout=10)
    return asked.stdout if asked.returncode == 0 else None


class Metrics:
    """One reading of /metrics: for each name the list of (labels, value)."""

    def __init__(self, site):
        text = fetch(site, "/metrics")
        if text is None:
            raise Failure(f"the gateway of site {site} does not answer on {ADMIN}/metrics")
        self.samples = {}
        for name, labels, value in SAMPLE.findall(text):
            self.samples.setdefault(name, []).append((dict(LABEL.findall(labels)), float(value)))

    def all(self, name):
        return self.samples.get(name, [])

    def value(self, name, **labels):
        """The sum over the samples that have these labels, or None when there is none."""
        found = [v for have, v in self.all(name) if labels.items() <= have.items()]
        return sum(found) if found else None


def print_gateway(site):
    m = Metrics(site)
    print(f"\ngateway of site {site}")
    packets = m.all("qzmq_queue_packets_total")
    if not any(value for _, value in packets):
        raise Failure(f"the gateway of site {site} has counted no packet on any queue")
    for labels, value in sorted(packets, key=lambda sample: sorted(sample[0].items())):
        octets = m.value("qzmq_queue_bytes_total", **labels)
        if octets is None:
            raise Failure(f"the gateway of site {site} counts packets of {labels} but no bytes")
        print(f"  queue {labels['queue']:<3} {labels['direction']:<10} {value:>10.0f} packets {octets:>13.0f} bytes")
    for labels, _ in m.all("qzmq_socket_info"):
        copied = "zero copy" if labels["zero_copy"] == "true" else "copy mode"
        print(f"  {labels['side']:<8} {labels['interface']} queue {labels['queue']}: XDP attached {labels['attach']}, AF_XDP in {copied}")
    print(f"  handshake {handshake(site, m)}")
    drops = [f"{labels['reason']} (queue {labels['queue']}): {value:.0f}"
             for labels, value in m.all("qzmq_drops_total") if value]
    print(f"  drops     {', '.join(drops) or 'none'}")


def handshake(site, m):
    """The time of a handshake, from a histogram or summary (its mean) or from a plain gauge."""
    total, count = m.value("qzmq_handshake_seconds_sum"), m.value("qzmq_handshake_seconds_count")
    if count:
        return f"{total / count * 1e3:.2f} ms (mean of {count:.0f})"
    plain = m.value("qzmq_handshake_seconds")
    if plain is None:
        raise Failure(f"the gateway of site {site} shows no qzmq_handshake_seconds")
    return f"{plain * 1e3:.2f} ms"
