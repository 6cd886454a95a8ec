"""Streams of records, and single flights (sections 2.4 and 2.7)."""

from primitives import Suite, Wrong, done, header, record_nonce, same

TYPE = {"udp": 0x10, "tcp": 0x11}


def check_stream(v):
    suite = Suite(v["aead"], v["hash"])
    keys = check_epochs(suite, v["epochs"])
    if not v["records"]:
        raise Wrong("there are no records")
    for r in v["records"]:
        seq, aad = int(r["seq"]), bytes.fromhex(r["aad"])
        what = f"{v['transport']} record {seq} of epoch {r['epoch']}"
        key, iv = keys[r["epoch"]]
        nonce = iv
        if v["transport"] == "flight":
            same("numbers of a flight", [v["session"], v["stream"], r["epoch"], seq], [0, 0, 0, 0])
        else:
            same(f"{what}, header", header(TYPE[v["transport"]], r["epoch"], v["stream"], v["session"], seq), aad)
            nonce = record_nonce(iv, v["stream"], seq)
        plaintext = suite.open(what, key, nonce, bytes.fromhex(r["sealed"]), aad)
        same(f"{what}, plaintext", plaintext, bytes.fromhex(r["plaintext"]))
        done["records"] += 1


def check_epochs(suite, epochs):
    """Follows the ratchet, and gives key and iv of every epoch."""
    keys, secret = [], bytes.fromhex(epochs[0]["secret"])
    for i, epoch in enumerate(epochs):
        same(f"secret of epoch {i}", secret, bytes.fromhex(epoch["secret"]))
        keys.append(suite.key_and_iv(secret))
        same(f"key of epoch {i}", keys[i][0], bytes.fromhex(epoch["key"]))
        same(f"iv of epoch {i}", keys[i][1], bytes.fromhex(epoch["iv"]))
        secret = suite.expand_label(secret, "traffic upd", b"", suite.length)
    return keys
