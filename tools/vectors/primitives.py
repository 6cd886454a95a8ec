"""What every part of the reader needs: the registry, the functions of a suite, and
fields from bytes."""

import hashlib
import hmac
from collections import Counter

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

# The registry: codes, and lengths in bytes.
HASHES = {"sha256": (1, hashes.SHA256), "sha384": (2, hashes.SHA384), "sha512": (3, hashes.SHA512)}
AEADS = {"aes256gcm": (1, AESGCM), "chacha20poly1305": (2, ChaCha20Poly1305)}
# kem: code, ML-KEM share, ML-KEM ciphertext, has an X25519 half
KEMS = {
    "x25519": (1, 0, 0, True),
    "mlkem768": (2, 1184, 1088, False),
    "mlkem1024": (3, 1568, 1568, False),
    "x25519+mlkem768": (4, 1184, 1088, True),
    "x25519+mlkem1024": (5, 1568, 1568, True),
}
# sig: code, ML-DSA key, ML-DSA signature, has an Ed25519 half
SIGNATURES = {
    "ed25519": (1, 0, 0, True),
    "mldsa44": (2, 1312, 2420, False),
    "mldsa65": (3, 1952, 3309, False),
    "mldsa87": (4, 2592, 4627, False),
    "ed25519+mldsa44": (5, 1312, 2420, True),
    "ed25519+mldsa65": (6, 1952, 3309, True),
}
SIGNATURE_OF = {code: (name, key, length, curve) for name, (code, key, length, curve) in SIGNATURES.items()}
EXTENSION_PSK = 0x0029
EXTENSION_EARLY_DATA = 0x002A
EXTENSION_KEY_SHARE = 0x0033
EXTENSION_METADATA = 0xFF02
EXTENSION_SERVICE = 0xFF03
EXTENSION_TICKET = 0xFF04
TICKET = 16  # bytes of a ticket's name


class Wrong(Exception):
    """A vector that does not hold."""


done = Counter()  # what was checked, and what was left


def same(what, got, want):
    if got != want:
        show = lambda v: v.hex() if isinstance(v, bytes) else repr(v)
        raise Wrong(f"{what}: found {show(got)}, the file has {show(want)}")
    done["values"] += 1


class Suite:
    """The functions of one suite that need its hash or its cipher."""

    def __init__(self, aead, hash_name):
        self.cipher = AEADS[aead][1]
        self.name = hash_name
        self.length = hashlib.new(hash_name).digest_size

    def hash(self, *parts):
        return hashlib.new(self.name, b"".join(parts)).digest()

    def mac(self, key, *parts):
        return hmac.new(key, b"".join(parts), self.name).digest()

    def extract(self, salt, secret):
        return self.mac(salt, secret)

    def expand_label(self, secret, label, context, n):
        full = b"qzmq1 " + label.encode()
        info = n.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
        return HKDFExpand(HASHES[self.name][1](), n, info).derive(secret)

    def derive(self, secret, label, digest):
        return self.expand_label(secret, label, digest, self.length)

    def finished(self, traffic, digest):
        return self.mac(self.expand_label(traffic, "finished", b"", self.length), digest)

    def key_and_iv(self, traffic):
        return self.expand_label(traffic, "key", b"", 32), self.expand_label(traffic, "iv", b"", 12)

    def open(self, what, key, nonce, sealed, aad):
        try:
            plaintext = self.cipher(key).decrypt(nonce, sealed, aad)
        except InvalidTag:
            raise Wrong(f"{what} does not open") from None
        same(f"{what}, sealed again", self.cipher(key).encrypt(nonce, plaintext, aad), sealed)
        return plaintext


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def header(kind, epoch, stream, session, seq):
    return (bytes([kind, epoch]) + stream.to_bytes(2, "big")
            + session.to_bytes(4, "big") + seq.to_bytes(8, "big"))


def record_nonce(iv, stream, seq):
    number = stream.to_bytes(4, "big") + seq.to_bytes(8, "big")
    return bytes(a ^ b for a, b in zip(iv, number))


class Reader:
    """Takes fields from the front of some bytes."""

    def __init__(self, what, data):
        self.what, self.data, self.at = what, data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Wrong(f"{self.what} is too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def extensions(self):
        """Gives {type: body}; duplicates are an error."""
        inside, found = Reader(self.what + ", extensions", self.take(self.number(2))), {}
        while inside.at < len(inside.data):
            kind = inside.number(2)
            if kind in found:
                raise Wrong(f"{self.what} has extension {kind:#06x} twice")
            found[kind] = inside.take(inside.number(2))
        return found

    def padding(self):
        """What is left are zeros up to a multiple of 256 bytes, and fewer than 256."""
        rest = self.take(len(self.data) - self.at)
        if len(self.data) % 256 or len(rest) > 255 or any(rest):
            raise Wrong(f"{self.what} is padded with {len(rest)} bytes to {len(self.data)}")

    def end(self):
        if self.at != len(self.data):
            raise Wrong(f"{self.what} has bytes left over")


def message(what, data, kind):
    reader = Reader(what, data)
    same(f"{what}, type", reader.number(1), kind)
    same(f"{what}, length", reader.number(3), len(data) - 4)
    return reader


def bech32m(prefix, data):
    """BIP-350."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

    def checksum(values):
        total = 1
        for value in values:
            top, total = total >> 25, (total & 0x1FFFFFF) << 5 ^ value
            for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                total ^= generator if top >> i & 1 else 0
        return total

    bits = "".join(f"{b:08b}" for b in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[i:i + 5], 2) for i in range(0, len(bits), 5)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    total = checksum(expanded + values + [0] * 6) ^ 0x2BC830A3
    values += [total >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(alphabet[v] for v in values)
