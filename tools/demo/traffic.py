"""What the hosts of the two sites say to each other: ping, the ZeroMQ patterns, TCP at full speed.

Nothing here knows of a gateway; the hosts have a default route and no more.
"""

import json
import os
import subprocess
import time

from programs import Failure

SITES = ("a", "b")
ADDRESS = {"a": "10.1.0.2", "b": "10.2.0.2"}
ADDRESS6 = {"a": "[fd00:1::2]", "b": "[fd00:2::2]"}
MESSAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "messages.py")

HEAD = "pattern             content  dialled by  messages        bytes   seconds   Mbit/s"
ROW = "{pattern:<20}{content:<9}{dialler:<12}{messages:>8}{bytes:>13}{seconds:>10.3f}{rate:>9.0f}"


class Traffic:
    def __init__(self, programs):
        self.programs = programs
        self.port = 5555  # each run has a port of its own, so that no late packet of another counts
        self.rows = []

    def ping(self, address):
        ping = self.programs.start("host-a", "ping", "-q", "-c", "5", "-i", "0.2", "-W", "2", address,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text, _ = self.programs.output(ping, 30)
        lines = text.strip().splitlines()
        if ping.returncode != 0 or " 0% packet loss" not in text:
            raise Failure(f"ping from host a to {address}: {' '.join(lines[-2:])}")
        print(f"ping {address}: {lines[-1]}")

    def patterns(self):
        """Every pattern with each end bound at each site, so content and dialling go both ways."""
        for binder, dialler in (("rep", "req"), ("pub", "sub"), ("sub", "pub"), ("push", "pull"), ("pull", "push")):
            for site in SITES:
                self.row(self.pair(binder, site, dialler))
        self.row(self.pair("rep", "b", "req", address=ADDRESS6, count=200), " IPv6")

    def bulk(self):
        """100 MB in messages of 62,500 bytes."""
        result = self.pair("pull", "b", "push", size=62500, count=1600)
        self.row(result, " 100 MB")
        print(f"SHA-256 of the 100 MB at both ends: {result['sha256']}")

    def row(self, result, note=""):
        self.rows.append({**result, "pattern": result["pattern"] + note})
        print("{pattern}, content {content}, dialled by {dialler}: {messages} messages, all as sent".format(
            **self.rows[-1]), flush=True)

    def pair(self, binder, site, dialler, address=ADDRESS, **options):
        """One role binds at a site and one dials it from the other; the accounts of both must agree."""
        endpoint = f"tcp://{address[site]}:{self.port}"
        self.port += 1
        words = [f"--{name}={value}" for name, value in options.items()]
        at = {binder: site, dialler: SITES[1 - SITES.index(site)]}
        started = {role: self.programs.start(f"host-{at[role]}", MESSAGES, role, side, endpoint, *words,
                                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for role, side in ((binder, "bind"), (dialler, "connect"))}
        accounts = {}
        # The end that receives goes first: its complaint says more than its partner's.
        for role in sorted(started, key=lambda role: role in ("rep", "pub", "push")):
            out, error = self.programs.output(started[role], 60)
            if started[role].returncode != 0:
                raise Failure(f"{binder} bound at site {site}, {dialler} from the other: {error.strip()}")
            accounts[role] = json.loads(out)
        (receiver, received), (sender, sent) = accounts.items()
        if any(sent[field] != received[field] for field in ("messages", "bytes", "sha256")):
            raise Failure(f"{sender} has sent {sent}, {receiver} has received {received}")
        return {**received, "pattern": f"{sender.upper()} to {receiver.upper()}",
                "content": f"{at[sender]} to {at[receiver]}", "dialler": f"host {at[dialler]}",
                "rate": received["bytes"] * 8e-6 / received["seconds"]}

    def iperf(self):
        """One TCP flow from host a to host b for three seconds; Mbit/s as the receiver counts them."""
        self.programs.start("host-b", "iperf3", "-s", "-1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(20):  # until the server listens
            client = self.programs.start("host-a", "iperf3", "-c", ADDRESS["b"], "-t", "3", "-J",
                                         "--connect-timeout", "3000", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            result = json.loads(self.programs.output(client, 30)[0])
            if "error" not in result:  # its exit code is 0 either way when it prints JSON
                return result["end"]["sum_received"]["bits_per_second"] / 1e6
            time.sleep(0.1)
        raise Failure(f"iperf3 cannot send across: {result['error']}")
