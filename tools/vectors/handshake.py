"""A handshake, full or resumed (sections 2.2 to 2.6)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from primitives import (AEADS, EXTENSION_EARLY_DATA, EXTENSION_KEY_SHARE, EXTENSION_METADATA, EXTENSION_PSK, EXTENSION_SERVICE,
                        EXTENSION_TICKET, HASHES, KEMS, SIGNATURE_OF, SIGNATURES, TICKET, Reader, Suite, Wrong,
                        bech32m, done, header, message, record_nonce, same, sha256)

EARLY_STREAM = 0xFFFFFFFF


def check_handshake(v):
    Handshake(v).check()


class Handshake:
    """One vector, the transcript as it grows, and what was computed so far."""

    def __init__(self, v):
        self.inputs, self.wire, self.derived = v["inputs"], v["messages"], v["derived"]
        self.kem, self.sig, aead, hash_name = v["suite"].split("/")
        self.suite = Suite(aead, hash_name)
        self.code = bytes([KEMS[self.kem][0], SIGNATURES[self.sig][0], AEADS[aead][0], HASHES[hash_name][0]])
        self.resumed = "psk" in self.inputs
        self.greeting = [self.given(f"{side}_greeting") for side in ("initiator", "responder")]
        self.transcript = b""
        self.computed = {}

    def given(self, name):
        return bytes.fromhex(self.inputs.get(name, ""))

    def sent(self, name):
        return bytes.fromhex(self.wire[name])

    def keep(self, name, value):
        """Notes a value for the comparison with the file's, in which bytes are hexadecimal."""
        self.computed[name] = value.hex() if isinstance(value, bytes) else value
        return value

    def compare(self):
        """Every value of the file must have been computed, and be the same."""
        self.computed["t1_to_t7"] = [self.computed[f"t{i}"] for i in range(1, 8)]
        for name, value in self.derived.items():
            if name not in self.computed:
                raise Wrong(f"{name} is in the file, and unknown")
            same(name, self.computed[name], value)

    def point(self, number, *parts):
        """Adds to the transcript and gives the hash there, T1 to T7."""
        self.transcript += b"".join(parts)
        return self.keep(f"t{number}", self.suite.hash(self.transcript))

    def check(self):
        suite = self.suite
        zero, empty = bytes(suite.length), suite.hash()
        self.read_client_hello()
        early = self.keep("early", suite.extract(zero, self.given("psk") or zero))
        if self.resumed:
            self.check_binder(early)
            self.read_early_data(early)
        server_clear, server_sealed, ciphertext = self.read_server_hello()
        secret = self.agree(ciphertext)
        hs = self.keep("hs", suite.extract(suite.derive(early, "derived", empty), secret))
        self.transcript = b"qzmq1\x01" + b"".join(self.greeting)
        t1 = self.point(1, self.sent("client_hello"), server_clear)
        c_hs = self.keep("c_hs", suite.derive(hs, "c hs traffic", t1))
        s_hs = self.keep("s_hs", suite.derive(hs, "s hs traffic", t1))

        t4, extensions = self.read_flight("responder", s_hs, t1, b"", server_sealed, (2, 3, 4))
        # An empty early_data in the sealed part says that the early data was taken.
        same("extensions of the ServerHello", extensions, {EXTENSION_EARLY_DATA: b""} if self.resumed else {})
        self.check_silence()
        client_key = self.sent("client_key")
        message("ClientKey", client_key, 3)
        t7, extensions = self.read_flight("initiator", c_hs, t4, client_key[:4], client_key[4:], (5, 6, 7))
        said = self.said((EXTENSION_METADATA, self.given("initiator_metadata")),
                         (EXTENSION_SERVICE, self.inputs.get("service", "").encode()))
        same("extensions of the ClientKey", list(extensions.items()), said)

        main = self.keep("main", suite.extract(suite.derive(hs, "derived", empty), zero))
        self.keep("c_ap", suite.derive(main, "c ap traffic", t7))
        s_ap = self.keep("s_ap", suite.derive(main, "s ap traffic", t7))
        exporter = self.keep("exp", suite.derive(main, "exp master", t7))
        res = self.keep("res", suite.derive(main, "res master", t7))
        self.read_finished(s_ap)
        self.keep("psk", suite.expand_label(res, "resumption", self.given("ticket"), suite.length))
        self.keep_data_keys(exporter)
        self.compare()

    @staticmethod
    def said(*extensions):
        """What is empty is not said."""
        return [(kind, body) for kind, body in extensions if body]

    def read_client_hello(self):
        reader = message("ClientHello", self.sent("client_hello"), 1)
        same("version", reader.number(1), 1)
        purpose = self.inputs["purpose"]
        same("purpose", reader.number(1), purpose if isinstance(purpose, int) else int(purpose, 16))
        same("random of the initiator", reader.take(32), self.given("client_random"))
        suites = reader.take(4 * reader.number(1))
        if self.code not in [suites[i:i + 4] for i in range(0, len(suites), 4)]:
            raise Wrong("the suite was not offered")
        self.hello_extensions = reader.extensions()
        reader.take(32)  # the MAC, checked when the responder's name is known
        reader.end()
        kinds = [EXTENSION_KEY_SHARE] + [EXTENSION_EARLY_DATA, EXTENSION_PSK] * self.resumed
        same("extensions of the ClientHello", list(self.hello_extensions), kinds)
        shares, of_kem = Reader("key_share", self.hello_extensions[EXTENSION_KEY_SHARE]), {}
        while shares.at < len(shares.data):
            code = shares.number(1)
            _, lattice, _, curve = next(k for k in KEMS.values() if k[0] == code)
            of_kem[code] = shares.take(lattice + 32 * curve)
        if KEMS[self.kem][3]:
            same("share of the initiator", of_kem[self.code[0]][-32:], x25519_public(self.given("initiator_x25519")))

    def hello_digest(self, end=None):
        """The ClientHello behind the prologue, of which the initiator knows its greeting only."""
        return self.suite.hash(b"qzmq1\x01", self.greeting[0], self.sent("client_hello")[:end])

    def check_binder(self, early):
        """psk is the last extension: ticket and binder, behind which only the MAC stands."""
        suite, body = self.suite, self.hello_extensions[EXTENSION_PSK]
        key = suite.derive(early, "res binder", suite.hash())
        binder = self.keep("binder", suite.finished(key, self.hello_digest(-32 - suite.length)))
        same("binder", body[TICKET:], binder)
        done["resumed"] += 1

    def read_early_data(self, early):
        secret = self.keep("c_e", self.suite.derive(early, "c e traffic", self.hello_digest()))
        data = self.sent("early_data")
        message("EarlyData", data, 6)
        key, iv = self.suite.key_and_iv(secret)
        plaintext = self.suite.open("EarlyData", key, record_nonce(iv, EARLY_STREAM, 0), data[4:], data[:4])
        reader, early_data = Reader("EarlyData", plaintext), self.given("early_data")
        same("early data", reader.take(len(early_data)), early_data)
        reader.padding()
        done["early data"] += 1

    def read_server_hello(self):
        """Gives what is in clear, what is sealed, and the answer to the share."""
        data = self.sent("server_hello")
        reader = message("ServerHello", data, 2)
        same("version", reader.number(1), 1)
        same("random of the responder", reader.take(32), self.given("server_random"))
        same("suite", reader.take(4), self.code)
        same("psk accepted", reader.number(1), int(self.resumed))
        _, _, lattice, curve = KEMS[self.kem]
        ciphertext = reader.take(lattice + 32 * curve)
        return data[:reader.at], data[reader.at:], ciphertext

    def agree(self, ciphertext):
        """Gives ML-KEM's secret, then X25519's; what a KEM does not have is empty."""
        _, _, lattice, curve = KEMS[self.kem]
        secret = b""
        if lattice:
            both = self.derived.get("mlkem_ss") or self.derived["kem_ss"]
            secret = self.keep("mlkem_ss", bytes.fromhex(both)[:32])
            done["ML-KEM secrets taken from the file"] += 1
        if curve:
            same("share of the responder", ciphertext[lattice:], x25519_public(self.given("responder_x25519")))
            private = X25519PrivateKey.from_private_bytes(self.given("initiator_x25519"))
            public = X25519PublicKey.from_public_bytes(ciphertext[lattice:])
            secret += self.keep("x25519_ss", private.exchange(public))
        return self.keep("kem_ss", secret)

    def read_flight(self, side, traffic, aad, prefix, sealed, points):
        """Opens one side's flight and checks who signed it, unless it is resumed and
        nobody does. Gives the hash at its last point and its extensions."""
        suite = self.suite
        key, iv = suite.key_and_iv(traffic)
        plaintext = suite.open(f"flight of the {side}", key, iv, sealed, aad)
        reader = Reader(f"flight of the {side}", plaintext)
        extensions, signature = reader.extensions(), b""
        if self.resumed:
            self.point(points[0], prefix, plaintext[:reader.at])
        else:
            signature = self.read_identity(side, reader, points[0], prefix)
        finished = reader.take(suite.length)
        reader.padding()
        want = self.keep(f"{side}_finished", suite.finished(traffic, self.point(points[1], signature)))
        same(f"finished of the {side}", finished, want)
        return self.point(points[2], finished), extensions

    def read_identity(self, side, reader, point, prefix):
        """Reads identity and signature, and gives the signature."""
        code = reader.number(1)
        name, lattice_key, lattice_signature, curve = SIGNATURE_OF[code]
        if side == "responder":
            same("algorithm of the responder", name, self.sig)
        same(f"form of the identity of the {side}", reader.number(1), 0)
        same(f"length of the identity of the {side}", reader.number(2), lattice_key + 32 * curve)
        public = reader.take(lattice_key + 32 * curve)
        digest = self.point(point, prefix, reader.data[:reader.at])
        signature = reader.take(lattice_signature + 64 * curve)
        signed = b"\x20" * 64 + b"QZMQ1 " + side.encode() + b"\x00" + bytes([code]) + digest
        if lattice_key:
            done["ML-DSA signatures not verified"] += 1
        if curve:
            self.check_ed25519(side, bool(lattice_key), public[lattice_key:], signature[lattice_signature:], signed)
        fingerprint = sha256(bytes([code]), public)
        self.keep(f"{side}_fingerprint", bech32m("qz", fingerprint))
        if side == "responder":
            self.responder = fingerprint
        return signature

    def check_ed25519(self, side, composite, public, signature, signed):
        seed = self.given(f"{side}_seed")
        if composite:  # each half has its own seed, by SHA-256 in every suite
            seed = Suite("aes256gcm", "sha256").expand_label(seed, "composite ed25519", b"", 32)
        key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        same(f"Ed25519 key of the {side}", raw(key), public)
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
        except InvalidSignature:
            raise Wrong(f"the Ed25519 signature of the {side} does not verify") from None
        done["Ed25519 signatures"] += 1

    def check_silence(self):
        """The MAC at the end of the ClientHello, by SHA-256 in every suite."""
        data = self.sent("client_hello")
        name = self.given("responder_fingerprint") if self.resumed else self.responder
        key = self.keep("silence_key", sha256(b"qzmq1 silence", name))
        same("silence MAC", Suite("aes256gcm", "sha256").mac(key, sha256(data[:-32])), data[-32:])

    def read_finished(self, traffic):
        """Finished is record 0 of the responder's direction on TCP: stream 1."""
        data = self.sent("finished")
        message("Finished", data, 4)
        key, iv = self.suite.key_and_iv(traffic)
        plaintext = self.suite.open("Finished", key, record_nonce(iv, 1, 0), data[4:], header(0x11, 0, 1, 0, 0))
        reader = Reader("Finished", plaintext)
        extensions = reader.extensions()
        if "ticket" in self.inputs:
            body = extensions.pop(EXTENSION_TICKET)
            same("ticket", body[:TICKET], self.given("ticket"))
            same("length of the ticket's extension", len(body), TICKET + 4)
        said = self.said((EXTENSION_METADATA, self.given("responder_metadata")))
        same("extensions of Finished", list(extensions.items()), said)
        reader.padding()

    def keep_data_keys(self, exporter):
        suite, keys = self.suite, []
        for d in self.derived.get("data_keys", []):
            context = bytes.fromhex(d["setup"]) + bytes([d["direction"]]) + d["stream"].to_bytes(2, "big")
            base = suite.derive(exporter, "QZMQ1 data", suite.hash())
            secret = suite.expand_label(base, "exporter", suite.hash(context), suite.length)
            key, iv = suite.key_and_iv(secret)
            keys.append(d | {"secret": secret.hex(), "key": key.hex(), "iv": iv.hex()})
            done["data keys"] += 1
        self.keep("data_keys", keys)


def x25519_public(private):
    return raw(X25519PrivateKey.from_private_bytes(private).public_key())


def raw(key):
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
