#!/usr/bin/python3
"""Reads the vectors of QZMQ version 1 as another implementation would.

    check.py FILE...           checks the files
    check.py --altered FILE... alters every value in turn, and prints those of
                               which this reader then notices nothing

A file is a JSON list of handshakes or of record streams. The layouts, the
transcript and the key schedule are written down here anew from the
specification; only hashes and ciphers come from elsewhere, from Python and from
Debian's python3-cryptography. Every value in a file that can be computed from
others is computed and compared.

ML-KEM and ML-DSA are in neither library. The ML-KEM secret is therefore taken
from the file, and shown to be right by the flights that open under what follows
from it; an ML-DSA signature is only held to its length and place. How many were
left so is part of what is printed, as JSON, when all is well.

The exit code is 1 when anything differs or a file holds nothing.
"""

import copy
import json
import sys

sys.dont_write_bytecode = True  # the checkout stays as it is

from handshake import check_handshake  # noqa: E402
from primitives import Wrong, done  # noqa: E402
from records import check_stream  # noqa: E402


def check(vector):
    if "messages" in vector:
        check_handshake(vector)
        done["handshakes"] += 1
    elif "transport" in vector:
        check_stream(vector)
        done["streams"] += 1
    else:
        raise Wrong("this is neither a handshake nor a stream of records")


def leaves(node, path=""):
    """Yields name, container and key of every value; items of a list share a name."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        name = f"{path}.{key}" if isinstance(node, dict) else path
        if isinstance(value, (dict, list)):
            yield from leaves(value, name)
        else:
            yield name.lstrip("."), node, key


def altered(value):
    """Another value of the same kind: the last digit or letter is another one."""
    if isinstance(value, int):
        return value ^ 1
    other = {"0": "1", "q": "p"}.get(value[-1:], "0" if value[-1:].isdigit() else "q")
    if all(c in "0123456789abcdef" for c in value):
        other = "1" if value[-1:] == "0" else "0"
    return value[:-1] + other


def unnoticed(vector):
    """The names of values that may be anything, in a vector that holds as it is."""
    check(vector)
    names = set()
    for i, (name, _, key) in enumerate(list(leaves(vector))):
        changed = copy.deepcopy(vector)
        _, node, _ = list(leaves(changed))[i]
        if node[key] == "":
            continue  # nothing is said, so there is nothing to alter
        node[key] = altered(node[key])
        try:
            check(changed)
        except Exception:  # whatever it is, it was noticed
            continue
        names.add(name)
    return names


def main(files):
    if not files or files == ["--altered"]:
        print(__doc__, file=sys.stderr)
        return 2
    if files[0] == "--altered":
        names = set()
        for name in files[1:]:
            with open(name, encoding="ascii") as file:
                for vector in json.load(file):
                    names |= unnoticed(vector)
        print(json.dumps(sorted(names)))
        return 0
    problems = []
    for name in files:
        with open(name, encoding="ascii") as file:
            vectors = json.load(file)
        if not vectors:
            problems.append(f"{name} holds no vectors")
        for i, vector in enumerate(vectors):
            try:
                check(vector)
            except (Wrong, KeyError, ValueError) as problem:
                title = vector.get("name", vector.get("transport"))
                problems.append(f"{name}, vector {i} ({title}): {problem!r}")
    if problems:
        print(*problems[:10], f"{len(problems)} problems", sep="\n", file=sys.stderr)
        return 1
    print(json.dumps(done, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
