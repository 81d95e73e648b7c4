#!/usr/bin/env python3
"""Second, independent verifier of witness bundles (docs/witness-format.md).

    tools/verify.py BUNDLE --policy policy.txt [--state seen.json [--first-seen]] [--now UNIX_S --max-age S] [--json]

Python standard library only: its own BLAKE3 and Ed25519, no code shared with the Rust verifier. It does not
replay. Exit code 0 when every level the policy and the options require is PASS, 1 when not, 2 on bad usage.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import struct
import sys
import tempfile

LEVELS = ["FORMAT", "AUTHENTIC", "INTEGRITY", "CONSISTENT", "WITNESSED", "FRESH", "REPLAYED"]
ZERO = bytes(32)
CONTEXT = "tapline 2026-11 witness "


class Fail(Exception):
    """A level does not hold."""

    def __init__(self, level, reason):
        super().__init__(reason)
        self.level, self.reason = level, reason


def require(condition, level, reason):
    if not condition:
        raise Fail(level, reason)


# ---------------------------------------------------------------------------------------------- BLAKE3

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
CHUNK_START, CHUNK_END, PARENT, ROOT, DERIVE_CONTEXT, DERIVE_KEY = 1, 2, 4, 8, 32, 64


def _make_compress():
    """Writes the compression function out in full: Python runs straight-line code several times faster."""
    permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
    lines = ["def compress(cv, block, counter, length, flags, unpack=unpack):"]
    lines.append(" " + ",".join(f"m{i}" for i in range(16)) + "=unpack(block)")
    lines.append(" " + ",".join(f"s{i}" for i in range(8)) + "=cv")
    lines.append(" " + ";".join(f"s{8 + i}={IV[i]}" for i in range(4)))
    lines.append(" s12=counter&0xffffffff;s13=counter>>32;s14=length;s15=flags")
    order = list(range(16))
    quads = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
             (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(quads):
            a, b, c, d = (f"s{x}" for x in (a, b, c, d))
            for word, right_d, right_b in ((order[2 * i], 16, 12), (order[2 * i + 1], 8, 7)):
                lines.append(f" {a}=({a}+{b}+m{word})&0xffffffff")
                lines.append(f" {d}^={a};{d}=({d}>>{right_d}|{d}<<{32 - right_d})&0xffffffff")
                lines.append(f" {c}=({c}+{d})&0xffffffff")
                lines.append(f" {b}^={c};{b}=({b}>>{right_b}|{b}<<{32 - right_b})&0xffffffff")
        order = [order[p] for p in permutation]
    lines.append(" return (" + ",".join(f"s{i}^s{i + 8}" for i in range(8)) + ")")
    scope = {"unpack": struct.Struct("<16I").unpack}
    exec("\n".join(lines), scope)  # pylint: disable=exec-used
    return scope["compress"]


compress = _make_compress()
WORDS = struct.Struct("<8I")


def _chunk(data, key, counter, flags, root):
    cv, count = key, max(1, (len(data) + 63) // 64)
    for i in range(count):
        block = data[64 * i:64 * i + 64]
        f = flags | (CHUNK_START if i == 0 else 0)
        if i == count - 1:
            f |= CHUNK_END | (ROOT if root else 0)
        cv = compress(cv, block.ljust(64, b"\0"), counter, len(block), f)
    return cv


def _subtree(data, key, counter, flags, root):
    if len(data) <= 1024:
        return _chunk(data, key, counter, flags, root)
    chunks, left = (len(data) + 1023) // 1024, 1
    while left * 2 < chunks:
        left *= 2
    l = _subtree(data[:left * 1024], key, counter, flags, False)
    r = _subtree(data[left * 1024:], key, counter + left, flags, False)
    return compress(key, WORDS.pack(*l) + WORDS.pack(*r), 0, 64, flags | PARENT | (ROOT if root else 0))


def blake3(data):
    return WORDS.pack(*_subtree(data, IV, 0, 0, True))


_KEYS = {}


def derive(context, data):
    if context not in _KEYS:
        _KEYS[context] = _subtree(context.encode(), IV, 0, DERIVE_CONTEXT, True)
    return WORDS.pack(*_subtree(data, _KEYS[context], 0, DERIVE_KEY, True))


def domain(purpose, data):
    return derive(f"{CONTEXT}{purpose} v1", data)


def commit(field, salt, payload):
    return derive(f"{CONTEXT}commit v1 {field}", salt + payload)


# --------------------------------------------------------------------------------------------- Ed25519

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def _add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _mul(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def _point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def _is_weak(point):
    return _equal(_mul(8, point), (0, 1, 1, 0))


BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verify(public, message, signature):
    """Strict: canonical numbers, no key and no point of small order."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r, s = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or _is_weak(a) or _is_weak(r):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return _equal(_mul(s, BASE), _add(r, _mul(k, a)))


# ------------------------------------------------------------------------------- keys, notes and policy

def b64(text):
    """Canonical base64 only."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


def is_name(name):
    bad = any(c.isspace() or c == "+" or ord(c) < 32 or 127 <= ord(c) < 160 for c in name)
    return 0 < len(name.encode()) <= 255 and not bad


class Key:
    """A public key that can vouch for notes."""

    def __init__(self, name, kind, public):
        self.name, self.kind, self.public = name, kind, public
        self.id = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]

    @classmethod
    def from_vkey(cls, vkey):
        parts = vkey.split("+", 2)
        blob = b64(parts[2]) if len(parts) == 3 else None
        if blob is None or len(blob) != 33 or blob[0] not in (1, 4) or not is_name(parts[0]):
            raise ValueError("malformed key")
        key = cls(parts[0], blob[0], blob[1:])
        point = _point(key.public)
        if key.id.hex() != parts[1] or point is None or _is_weak(point):
            raise ValueError("malformed or weak key")
        return key

    def verify(self, text, signature):
        """The time of a cosignature, 0 for a plain signature, None when it does not verify."""
        if self.kind == 1:
            return 0 if ed25519_verify(self.public, text.encode(), signature) else None
        if len(signature) != 72:
            return None
        time_s = struct.unpack(">Q", signature[:8])[0]
        message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
        return time_s if ed25519_verify(self.public, message, signature[8:]) else None


RETIRED = "#tapline-retired"


class Policy:
    """C2SP tlog-policy: logs, witnesses, groups, quorum."""

    def __init__(self, text):
        self.logs, self.witnesses, self.groups, self.quorum = [], {}, {}, None
        # Largest size a retired key may sign, by public key.
        self.retired = {}
        used, has_quorum = set(), False
        for number, line in enumerate(text.split("\n"), 1):
            words = [w for w in re.split("[ \t]", line) if w]
            if not words or words[0].startswith("#") and words[0] != RETIRED:
                continue
            try:
                if words[0] == "log" and len(words) in (2, 3):
                    self.logs.append(self._key(words[1], 1))
                elif words[0] == "witness" and len(words) in (3, 4):
                    self._free(words[1])
                    self.witnesses[words[1]] = self._key(words[2], 4)
                elif words[0] == "group" and len(words) >= 4:
                    self._free(words[1])
                    members = words[3:]
                    for member in members:
                        if member in used or member not in self.witnesses and member not in self.groups:
                            raise ValueError(f"{member} is not defined above, or used already")
                        used.add(member)
                    counts = {"any": 1, "all": len(members), **{str(k): k for k in range(1, len(members) + 1)}}
                    if words[2] not in counts:
                        raise ValueError(f"{words[2]} of {len(members)}")
                    self.groups[words[1]] = (counts[words[2]], members)
                elif words[0] == RETIRED and len(words) == 3:
                    key = next((key for key in self.keys() if key.id.hex() == words[1]), None)
                    size = int(words[2]) if re.fullmatch("0|[1-9][0-9]*", words[2]) else 2**64
                    if key is None or key.public in self.retired or size >= 2**64:
                        raise ValueError("not a key that stands above, once, and the largest size it signed")
                    self.retired[key.public] = size
                elif words[0] == "quorum" and len(words) == 2 and not has_quorum:
                    has_quorum = True
                    if words[1] != "none":
                        if words[1] not in self.witnesses and words[1] not in self.groups:
                            raise ValueError(f"{words[1]} is not defined above")
                        self.quorum = words[1]
                else:
                    raise ValueError("not a policy line")
            except ValueError as error:
                raise ValueError(f"policy line {number}: {error}") from None
        if not has_quorum:
            raise ValueError("policy: a quorum line is missing")

    def keys(self):
        return self.logs + list(self.witnesses.values())

    def _key(self, vkey, kind):
        key = Key.from_vkey(vkey)
        if key.kind != kind or any(key.public == other.public for other in self.keys()):
            raise ValueError("a key of the wrong type, or one that is there already")
        return key

    def _free(self, name):
        if name == "none" or name in self.witnesses or name in self.groups:
            raise ValueError(f"the name {name} is taken")

    def is_witnessed(self, signers, name=None):
        name = name or self.quorum
        if name in self.witnesses:
            return self.witnesses[name] in signers
        threshold, members = self.groups[name]
        return sum(self.is_witnessed(signers, member) for member in members) >= threshold


class Checkpoint:
    """A signed note with a checkpoint in it; signatures are looked at later."""

    def __init__(self, note, entry):
        def check(condition, what):
            require(condition, "FORMAT", f"{entry}: {what}")

        check(len(note) <= 16384, "longer than 16 KiB")
        try:
            note = note.decode()
        except UnicodeDecodeError:
            check(False, "not UTF-8")
        check(not any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in note), "a control character")
        end = note.rfind("\n\n")
        check(end >= 0, "no empty line before the signatures")
        self.text, lines = note[:end + 1], note[end + 2:]
        check(lines.endswith("\n"), "no signature line, or the last one is cut off")
        lines = lines[:-1].split("\n")
        check(len(lines) <= 16, "more than 16 signature lines")
        self.signatures = []
        for line in lines:
            match = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
            blob = b64(match[2]) if match else None
            check(blob is not None and len(blob) > 4 and is_name(match[1]), "a line that is no signature line")
            self.signatures.append((match[1], blob[:4], blob[4:]))
        match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]*)\n([^\n]+)\n", self.text)
        check(match and is_name(match[1]), "not origin, size and root")
        self.origin, self.size, self.root = match[1], int(match[2]), b64(match[3])
        check(self.size < 2**64 and self.root is not None and len(self.root) == 32, "not origin, size and root")

    def open(self, policy, named):
        """Every line by a key of the policy or of a KEY leaf below this size; keeps who signed, and the latest time."""
        known = policy.keys() + [key for seq, _, key in named if seq < self.size]
        self.signers, self.time_s = [], None
        for name, key_id, signature in self.signatures:
            key = next((key for key in known if key.name == name and key.id == key_id), None)
            require(key, "AUTHENTIC", f"a signature line of {name} by no known key")
            require(not any(key.public == k.public for k in self.signers), "AUTHENTIC", f"two signature lines by {name}")
            self.signers.append(key)
            when = key.verify(self.text, signature)
            require(when is not None, "AUTHENTIC", f"the signature of {name} does not verify")
            if key.kind == 4:
                self.time_s = max(self.time_s or 0, when)
            leaf = policy.retired.get(key.public)
            require(leaf is None or self.size <= leaf, "AUTHENTIC", f"{name} was retired with leaf {leaf}")
        return any(key.name == self.origin and self.is_by(key) for key in policy.logs)

    def is_by(self, key):
        return any(key.public == signer.public and key.kind == signer.kind for signer in self.signers)


# -------------------------------------------------------------------------------------------- container

NAME = re.compile(rb"[a-z0-9/._-]{1,100}")


def ustar_header(name, length):
    header = bytearray(512)
    for at, value in ((0, name), (100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"),
                      (124, b"%011o\0" % length), (136, b"00000000000\0"), (148, b" " * 8), (156, b"0"),
                      (257, b"ustar\0"), (263, b"00"), (329, b"0000000\0"), (337, b"0000000\0")):
        header[at:at + len(value)] = value
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def read_container(data):
    """Entries by name; nothing but the plain ustar that the format asks for."""
    def check(condition, what):
        require(condition, "FORMAT", f"bundle at byte {at}: {what}")

    entries, order, at = {}, [], 0
    check(len(data) <= 512 << 20, "longer than 512 MiB")
    while True:
        block = data[at:at + 512]
        check(len(block) == 512, "the end is missing")
        if not any(block):
            check(data[at:] == bytes(1024), "the end is not exactly two zero blocks")
            break
        check(len(order) < 20000, "more than 20,000 entries")
        name = block[:100].split(b"\0")[0]
        segments = name.split(b"/")
        check(NAME.fullmatch(name) and not any(s in (b"", b".", b"..") for s in segments), "a name that is not allowed")
        check(re.fullmatch(rb"[0-7]{11}", block[124:135]), "a length that is not eleven octal digits")
        length = int(block[124:135], 8)
        check(block == ustar_header(name, length), "a header that is not the plain one of a regular file")
        check(length <= 64 << 20, "an entry above 64 MiB")
        padded = (length + 511) // 512 * 512
        content = data[at + 512:at + 512 + padded]
        check(len(content) == padded, "an entry is longer than the bundle")
        check(not any(content[length:]), "the padding of an entry is not zero")
        check(len(order) < 2 or name > order[-1], "entries out of order")
        check(name not in entries, "an entry twice")
        order.append(name)
        entries[name] = content[:length]
        at += 512 + padded
    require(order and order[0] == b"format", "FORMAT", "the first entry is not `format`")
    require(entries.pop(b"format") == b"tapline witness bundle v1\n", "FORMAT", "another format")
    return {name.decode(): content for name, content in entries.items()}


def tile_path(kind, index, width):
    groups = []
    rest = index
    while True:
        groups.insert(0, f"{rest % 1000:03d}" if not groups else f"x{rest % 1000:03d}")
        rest //= 1000
        if not rest:
            break
    return f"tile/{kind}/" + "/".join(groups) + ("" if width == 256 else f".p/{width}")


def parse_tile_path(name):
    """(kind, index, width), or None when it is not the one spelling of a path."""
    match = re.fullmatch(r"tile/([0-7]|entries)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", name)
    if not match:
        return None
    index = int("".join(re.findall(r"\d", match[2])))
    width = int(match[3] or 256)
    ok = index < 2**64 and width <= 256 and tile_path(match[1], index, width) == name
    return (match[1], index, width) if ok else None


# ------------------------------------------------------------------------------------------------- tree

def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def fold(hashes):
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


class Tiles:
    """Hash tiles by (level, index)."""

    def __init__(self):
        self.tiles = {}

    def hashes(self, level, index):
        data = self.tiles[(level, index)]
        return [data[i:i + 32] for i in range(0, len(data), 32)]

    def node(self, level, index):
        """Root of the subtree of 2^level leaves with this index; KeyError when its tile is not there."""
        tile_level, height = divmod(level, 8)
        first = index << height
        hashes = self.hashes(tile_level, first >> 8)
        part = hashes[first & 255:(first & 255) + (1 << height)]
        if len(part) != 1 << height:
            raise KeyError((tile_level, first >> 8))
        return fold(part)

    def range_root(self, lo, hi):
        count = hi - lo
        if count & (count - 1) == 0 and lo % count == 0:
            return self.node(count.bit_length() - 1, lo // count)
        split = 1 << ((count - 1).bit_length() - 1)
        return node_hash(self.range_root(lo, lo + split), self.range_root(lo + split, hi))

    def root(self, size):
        return self.range_root(0, size) if size else hashlib.sha256(b"").digest()


def tiles_needed(size, bundles, old):
    """{(level, index): width} of the hash tiles a bundle holds, no more and no less."""
    needed, wanted = {}, set(bundles)
    for level in range(8):
        hashes = size >> (8 * level)
        for tree in (size,) if old is None else (size, old):
            if (tree >> (8 * level)) % 256:
                wanted.add((tree >> (8 * level)) // 256)
        wanted = {index for index in wanted if index * 256 < hashes}
        needed.update({(level, index): min(256, hashes - 256 * index) for index in wanted})
        wanted = {index >> 8 for index in wanted if (index + 1) * 256 <= hashes}
    return needed


# ----------------------------------------------------------------------------------------------- leaves

class Reader:
    """A cursor that accepts exactly one encoding."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at:self.at + count]
        if len(part) != count:
            raise ValueError("cut off")
        self.at += count
        return part

    def number(self, size, signed=False):
        return int.from_bytes(self.take(size), "little", signed=signed)

    def hash(self):
        return self.take(32)

    def enum(self, count):
        value = self.number(1)
        if value >= count:
            raise ValueError(f"byte {value} of at most {count - 1}")
        return value

    def text(self):
        return self.take(self.number(1)).decode()

    def option(self, read):
        return read() if self.enum(2) else None

    def list(self, read):
        count = self.number(2)
        if count > 1024:
            raise ValueError("a list above 1,024")
        return [read() for _ in range(count)]

    def float(self):
        value = struct.unpack("<f", self.take(4))[0]
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("a number that is not finite")
        return value

    def end(self):
        if self.at != len(self.data):
            raise ValueError("bytes after the end")


KINDS = ["GENESIS", "CYCLE", "BOOT", "SWAP", "ROLLUP", "CONFIG", "CALIBRATION", "KEY", "PRIVACY_MODE", "GAP",
         "CLOCK_STEP", "RETENTION_POLICY", "SHUTDOWN", "AUDIT"]
KEYFRAME, DEMOTED, SIMULATED = 1, 2, 8


def builds(r):
    return r.list(lambda: (r.number(2), r.number(2), r.hash()))


def read_body(kind, data):
    """A dictionary of what later checks need; every byte is parsed."""
    r, body = Reader(data), {}
    if kind == "GENESIS":
        r.number(2), r.enum(2)
        body = {"origin": r.text(), "log_key": r.hash(), "cosigner_key": r.hash()}
        r.option(lambda: (r.text(), r.number(8), r.hash()))
    elif kind == "CYCLE":
        body = {"clock": r.enum(4), "class": r.enum(4), "mode": r.enum(5), "code": r.enum(5),
                "n_inputs": r.number(4), "n_stages": r.number(2), "profile": r.number(2)}
        for name in ("manifest", "config", "calibration", "inputs", "stages", "outcome", "state"):
            body[name] = r.hash()
    elif kind == "BOOT":
        body = {"recovered_size": r.number(8), "recovered_root": r.hash(), "manifest": r.hash(),
                "config": r.hash(), "calibration": r.hash()}
        body["mode"] = r.enum(5)
        r.number(2), r.take(96), r.text(), r.text(), r.text(), builds(r)
    elif kind == "SWAP":
        body = {"tick": r.number(8), "old": r.hash(), "manifest": r.hash(), "result": r.enum(3)}
        body["reason"] = r.number(2)
        r.hash()
        body["golden"] = r.hash()
        r.take(12), r.hash(), r.enum(2), r.hash()
        body["attestation"] = r.hash()
        builds(r)
    elif kind == "ROLLUP":
        body = {"start": r.number(8), "end": r.number(8), "first_wall_ns": r.number(8, signed=True),
                "last_wall_ns": r.number(8, signed=True)}
        for name in ("first_prev", "last_witness", "range_digest"):
            body[name] = r.hash()
        for name, count in (("by_outcome", 5), ("by_class", 4), ("by_disposition", 7)):
            body[name] = [r.number(8) for _ in range(count)]
        body["missed_ticks"] = r.number(8)
        body["by_manifest"] = r.list(lambda: (r.hash(), r.number(8)))
        body["occupancy"] = [r.number(8) for _ in range(9)]
        body["quality_sum"], body["quality_count"] = int.from_bytes(r.take(16), "little", signed=True), r.number(8)
        body["quality_min_bits"], body["quality_max_bits"] = r.number(4), r.number(4)
        r.enum(2), r.option(r.hash), r.hash()
    elif kind == "CONFIG":
        body = {"old": r.hash(), "config": r.hash(), "tick": r.number(8)}
        r.hash()
    elif kind == "CALIBRATION":
        body = {"old": r.hash(), "calibration": r.hash(), "tick": r.number(8)}
        r.enum(3), r.hash()
    elif kind == "KEY":
        body = {"role": r.enum(2), "retired": r.enum(2), "name": r.text(), "public": r.take(32)}
    elif kind == "PRIVACY_MODE":
        body = {"old": r.enum(5), "mode": r.enum(5), "tick": r.number(8)}
        r.hash()
    elif kind == "GAP":
        r.take(24), r.enum(3)
    elif kind == "CLOCK_STEP":
        r.take(16)
    elif kind == "RETENTION_POLICY":
        r.take(32)
    elif kind == "SHUTDOWN":
        r.enum(3), r.take(16)
    elif kind == "AUDIT":
        r.hash(), r.text(), r.hash(), r.enum(3)
    r.end()
    return body


class Leaf:
    """A leaf, strictly decoded."""

    def __init__(self, data):
        if not 124 <= len(data) <= 65535 or data[:4] != b"CWR1":
            raise ValueError("not a leaf")
        r = Reader(data[4:])
        self.kind, self.flags, reserved = KINDS[r.enum(14)], r.number(1), r.number(2)
        self.log_id, self.seq, self.prev, self.boot_id = r.hash(), r.number(8), r.hash(), r.take(16)
        self.tick, self.mono_ns, self.wall_ns = r.number(8), r.number(8), r.number(8, signed=True)
        body = r.take(r.number(4))
        r.end()
        if reserved or self.flags & ~15 or (self.flags and self.kind != "CYCLE"):
            raise ValueError("a reserved bit is set")
        if (self.seq == 0) != (self.kind == "GENESIS") or (self.seq == 0) != (self.prev == ZERO):
            raise ValueError("GENESIS and a zero prev belong to seq 0 and to no other")
        self.body = read_body(self.kind, body)
        if self.kind == "CYCLE" and bool(self.flags & KEYFRAME) != (self.body["state"] != ZERO):
            raise ValueError("a keyframe commits a state and no other cycle does")


def seat(origin, role):
    """Name and type of a log's key: 0 the log's own, 1 its cosigner's."""
    return (origin + "/time", 4) if role else (origin, 1)


class KeySet:
    """The keys that GENESIS, and the KEY leaves after it, put in force: [role, key, since leaf, retired with leaf]."""

    def __init__(self, genesis):
        self.origin, self.keys = genesis["origin"], []
        for role, name in enumerate(("log_key", "cosigner_key")):
            self.add(role, seat(self.origin, role), genesis[name], 0)

    def add(self, role, named, public, seq):
        point = _point(public)
        if not is_name(named[0]) or point is None or _is_weak(point):
            raise ValueError("a name that is none, or a weak key")
        self.keys.append([role, Key(*named, public), seq, None])

    def apply(self, seq, body):
        role, named = body["role"], seat(self.origin, body["role"])
        same = next((key for key in self.keys if key[1].public == body["public"]), None)
        of_role = [key for key in self.keys if key[0] == role and key[3] is None]
        if body["name"] != named[0]:
            raise ValueError("not the name of a key of this log and role")
        if not body["retired"]:
            if same or len(of_role) > 1:
                raise ValueError("a key that was there before, or a third one")
            self.add(role, named, body["public"], seq)
        else:
            if same not in of_role or len(of_role) < 2:
                raise ValueError("a key that does not sign, or the last one, is retired")
            same[3] = seq

    def check(self, checkpoint):
        """Of these keys exactly those in force sign."""
        for _, key, since, retired in self.keys:
            signs = since < checkpoint.size and (retired is None or checkpoint.size <= retired)
            require(signs == checkpoint.is_by(key), "AUTHENTIC", f"{key.name} {key.id.hex()}: in force {signs}, or not")


class Walk:
    """The rules between leaves, in ascending order; gaps between indices are allowed."""

    def __init__(self, log_id):
        self.log_id, self.last, self.boot = log_id, None, None

    def step(self, index, data):
        try:
            leaf = Leaf(data)
        except (ValueError, UnicodeDecodeError) as error:
            raise Fail("INTEGRITY", f"leaf {index}: {error}") from None

        def check(condition, what):
            require(condition, "INTEGRITY", f"leaf {index}: {what}")

        check(leaf.seq == index, f"seq is {leaf.seq}")
        check(leaf.log_id == self.log_id, "another log_id")
        follows = index == 0
        if self.last is not None:
            follows = index == self.last[0] + 1
            check(not follows or leaf.prev == self.last[1], "prev is not the witness of the leaf before")
        boot = self.boot if self.boot and self.boot["id"] == leaf.boot_id else None
        if boot is None:
            begins = leaf.kind in ("GENESIS", "BOOT")
            check(begins or not follows, "a boot that no BOOT leaf begins")
            check(not begins or leaf.tick == 0, "a tick before the first cycle")
            boot = self.boot = {"id": leaf.boot_id, "mono": leaf.mono_ns, "tick": leaf.tick, "cycle": None,
                                "complete": begins, "gap": False, "known": False, "shown_from": index,
                                "manifest": [], "config": [], "calibration": [], "mode": []}
            if leaf.kind == "BOOT":
                self.in_force(leaf, check, index)
            elif leaf.kind == "CYCLE":
                self.cycle(leaf, check)
        else:
            boot["complete"] = boot["complete"] and follows
            boot["shown_from"] = boot["shown_from"] if follows else index
            check(leaf.mono_ns > boot["mono"], "mono_ns does not rise")
            if leaf.kind == "CYCLE":
                self.cycle(leaf, check)
            else:
                check(leaf.tick == boot["tick"] if follows else leaf.tick >= boot["tick"], "not the last cycle's tick")
            if leaf.kind == "BOOT":
                check(index == 1, "a second BOOT of one boot")
                self.in_force(leaf, check, 0)
            check(leaf.kind != "GENESIS", "a second GENESIS")
            boot["mono"], boot["tick"] = leaf.mono_ns, leaf.tick
        if leaf.kind == "SWAP" and leaf.body["result"] != 1:
            boot["manifest"].append((leaf.body["tick"], leaf.body["manifest"], index))
        elif leaf.kind == "SWAP" and leaf.body["reason"] == 5:
            # Not durable at its tick: the leaf that named this manifest is withdrawn.
            named = (leaf.body["tick"], leaf.body["manifest"])
            boot["manifest"] = [since for since in boot["manifest"] if since[:2] != named]
        elif leaf.kind in ("CONFIG", "CALIBRATION"):
            name = leaf.kind.lower()
            boot[name].append((leaf.body["tick"], leaf.body[name], index))
        elif leaf.kind == "PRIVACY_MODE":
            if boot["mode"] and boot["mode"][-1][1] != leaf.body["old"]:
                self.contradicted("mode", boot["mode"][-1], check, "not the mode before")
            boot["mode"].append((leaf.body["tick"], leaf.body["mode"], index))
        elif leaf.kind == "GAP":
            boot["gap"] = True
        self.last = (index, domain("leaf", data))
        return leaf

    def in_force(self, leaf, check, found_at_start):
        check(leaf.body["recovered_size"] == found_at_start, "recovered_size is not what was there")
        for name in ("manifest", "config", "calibration", "mode"):
            self.boot[name].append((0, leaf.body[name], leaf.seq))

    def contradicted(self, name, since, check, what):
        """One that was left out may have changed what a leaf before the gap put in force: then nothing is known."""
        shown_from = self.boot["shown_from"]
        check(since[2] < shown_from, what)
        self.boot[name] = [entry for entry in self.boot[name] if entry[2] >= shown_from]

    def cycle(self, leaf, check):
        boot, last = self.boot, self.boot["cycle"]
        if last:
            check(leaf.tick > last.tick, "the tick does not rise")
            missed = leaf.tick - last.tick - 1
            check(not boot["complete"] or missed < 20 or boot["gap"], f"{missed} missed ticks without a GAP leaf")
        else:
            check(leaf.tick >= boot["tick"], "the tick does not rise")
        boot["known"] = True
        for name in ("manifest", "config", "calibration", "mode"):
            now = [entry for entry in boot[name] if entry[0] <= leaf.tick]
            if not now:
                boot["known"] = False
            elif now[-1][1] != leaf.body[name]:
                self.contradicted(name, now[-1], check, f"not the {name} in force")
                boot["known"] = False
        due = not last or last.body["manifest"] != leaf.body["manifest"] or last.seq // 256 != leaf.seq // 256
        check(not boot["complete"] or due == bool(leaf.flags & KEYFRAME), "a keyframe where none is due, or none")
        boot["cycle"], boot["complete"], boot["gap"] = leaf, True, False


# ---------------------------------------------------------------------------------- what cycles commit to

def check_inputs(data, expected):
    r, count = Reader(data), 0
    while r.at < len(data):
        r.take(12)
        length = r.number(4)
        if length > 65535:
            raise ValueError("a frame above 65,535 bytes")
        r.take(length)
        count += 1
    if count != expected:
        raise ValueError(f"{count} inputs, the leaf says {expected}")


def check_stages(data, expected):
    r, count, dispositions = Reader(data), 0, []
    while r.at < len(data):
        r.take(4)
        dispositions.append(r.enum(7))
        r.take(12), r.hash()
        count += 1
    if count != expected:
        raise ValueError(f"{count} stages, the leaf says {expected}")
    return dispositions


def ascending(values):
    if any(a >= b for a, b in zip(values, values[1:])):
        raise ValueError("not in ascending order")


def check_outcome(data, leaf):
    r = Reader(data)
    if len(data) > 1 << 20:
        raise ValueError("above 1 MiB")

    def maybe_float():
        return r.option(r.float)

    def vector(read):
        return [read() for _ in range(r.number(4))]

    def presence():
        r.enum(4), maybe_float(), r.enum(REASONS), r.number(8)

    def area():
        index = r.number(2)
        presence(), r.option(lambda: r.number(2))
        return index

    def keypoint():
        [maybe_float() for _ in range(3)], [r.float() for _ in range(8)], r.enum(2)

    def person():
        identity = r.number(8)
        r.enum(2), r.float(), [maybe_float() for _ in range(6)], [r.float() for _ in range(22)]
        r.option(lambda: [keypoint() for _ in range(17)])
        return identity

    def link():
        path = r.number(2)
        r.option(lambda: r.number(4)), [maybe_float() for _ in range(7)]
        return path

    if r.number(2) != 1:
        raise ValueError("another version of the outcome")
    tick, _, simulated = r.number(8), r.number(8), r.enum(2)
    r.option(lambda: r.number(4))
    privacy = (r.enum(4), r.enum(5))
    demotion = r.number(1)
    r.enum(4), r.enum(REASONS)
    score = maybe_float()
    r.float(), maybe_float(), r.float()
    ascending(vector(lambda: r.enum(4)))
    presence()
    ascending(vector(area))
    ascending(vector(area))
    people = r.option(lambda: r.number(2))
    ascending(vector(person))
    ascending(vector(link))
    r.end()
    agree = (tick == leaf.tick and privacy == (leaf.body["class"], leaf.body["mode"])
             and bool(simulated) == bool(leaf.flags & SIMULATED) and (demotion or not leaf.flags & DEMOTED))
    if not agree:
        raise ValueError("outcome and leaf differ in tick, privacy class or mode, simulated or demoted")
    return people, score


REASONS = 12


def read_openings(data):
    """[(seq, [(salt, bytes) or None for inputs, stages, outcome])]."""
    r, cycles = Reader(data), []
    while r.at < len(data):
        seq = r.number(8)
        cycles.append((seq, [r.option(lambda: (r.hash(), r.take(r.number(4)))) for _ in range(3)]))
    return cycles


# ------------------------------------------------------------------------------------------ the verifier

class Verifier:
    """Runs the levels in order; `levels` has the verdicts."""

    def __init__(self, policy, seen, must_be_consistent, fresh):
        self.policy, self.seen, self.fresh = policy, seen, fresh
        self.must_be_consistent = must_be_consistent
        self.levels = {level: ("NOT_CHECKED", "an earlier check failed") for level in LEVELS}
        self.required = ["FORMAT", "AUTHENTIC", "INTEGRITY"]
        self.required += ["CONSISTENT"] if must_be_consistent else []
        self.required += ["WITNESSED"] if policy.quorum else []
        self.required += ["FRESH"] if fresh else []
        self.head, self.time_s, self.leaves, self.opened = None, None, 0, 0
        # For rollups: bytes and decoded form of every leaf, and what opened cycles hold: (dispositions, (people, score)).
        self.seen_leaves, self.facts = {}, {}

    def accepted(self):
        return all(self.levels[level][0] == "PASS" for level in self.required)

    def run(self, data):
        try:
            self.all(data)
        except Fail as fail:
            self.levels[fail.level] = ("FAIL", fail.reason)

    def all(self, data):
        entries = read_container(data)
        tiles, bundles, data_of, states, blobs = {}, {}, {}, {}, {}
        for name, content in entries.items():
            path = parse_tile_path(name)
            numbered = re.fullmatch(r"(data|state)/(0|[1-9]\d*)\.bin", name)
            if path and path[0] == "entries":
                bundles[(path[1], path[2])] = content
            elif path:
                tiles[(int(path[0]), path[1], path[2])] = content
            elif numbered and int(numbered[2]) < 2**64:
                (data_of if numbered[1] == "data" else states)[int(numbered[2])] = content
            elif re.fullmatch(r"blob/[0-9a-f]{64}", name):
                blobs[bytes.fromhex(name[5:])] = content
            else:
                require(name in ("request", "checkpoint", "checkpoint.old"), "FORMAT", f"{name}: no such entry")
        require("checkpoint" in entries, "FORMAT", "there is no checkpoint")
        self.head = head = Checkpoint(entries["checkpoint"], "checkpoint")
        old = Checkpoint(entries["checkpoint.old"], "checkpoint.old") if "checkpoint.old" in entries else None
        self.levels["FORMAT"] = ("PASS", "")

        self.authentic(tiles, bundles, old)
        self.time_s = head.time_s
        self.levels["AUTHENTIC"] = ("PASS", "")

        tree = self.tree(tiles, bundles, old)
        keys = self.contents(tree, bundles, data_of, states, blobs)
        self.levels["INTEGRITY"] = ("PASS", "")
        for checkpoint in [head] + ([old] if old else []):
            if keys:
                keys.check(checkpoint)
        self.levels["CONSISTENT"] = self.consistent(tree, old)
        self.levels["WITNESSED"] = self.witnessed([key for key in self.policy.witnesses.values() if head.is_by(key)])
        self.levels["FRESH"] = self.is_fresh()
        self.levels["REPLAYED"] = ("NOT_CHECKED", "this verifier does not replay")

    def authentic(self, tiles, bundles, old):
        """A key of the policy signs, or one that such a key has vouched for in a KEY leaf."""
        origin = self.head.origin
        require(any(key.name == origin for key in self.policy.logs), "AUTHENTIC", f"the policy names no log {origin}")
        require(not old or old.origin == origin, "AUTHENTIC", "checkpoint.old is of another log")
        try:
            self.vouch(old, [], None)
        except Fail:
            try:
                tree = self.tree(tiles, bundles, old)
            except Fail:
                tree = None
            named = self.named(tree, bundles) if tree else []
            if not named:
                raise
            self.vouch(old, named, tree)

    def vouch(self, old, named, tree):
        direct = self.head.open(self.policy, named)
        if old:
            require(old.open(self.policy, named), "AUTHENTIC", "no key of the policy signs checkpoint.old")
        if direct:
            return
        require(old and tree, "AUTHENTIC", "no signature line by a log key of the policy")
        try:
            same = tree.root(old.size) == old.root
        except KeyError:
            same = False
        require(same, "AUTHENTIC", "checkpoint.old is of another tree: it vouches for no key of this one")
        below = [key for seq, role, key in named if role == 0 and seq < old.size]
        require(any(self.head.is_by(key) for key in below), "AUTHENTIC", "no KEY leaf of checkpoint.old adds the key")

    def named(self, tree, bundles):
        """(leaf, role, key) of every KEY leaf of the tree that adds a key."""
        named = []
        for index, _ in sorted(bundles):
            rest, seq = bundles[(index, _)], 256 * index
            while len(rest) >= 2:
                length = int.from_bytes(rest[:2], "big")
                data, rest = rest[2:2 + length], rest[2 + length:]
                hashes = tree.hashes(0, index)
                if data[4:5] == b"\x07" and leaf_hash(data) == (hashes[seq & 255] if seq & 255 < len(hashes) else None):
                    try:
                        body = Leaf(data).body
                        point = _point(body["public"])
                        if not body["retired"] and body["name"] == seat(self.head.origin, body["role"])[0] \
                                and point is not None and not _is_weak(point):
                            key = Key(*seat(self.head.origin, body["role"]), body["public"])
                            named.append((seq, body["role"], key))
                    except ValueError:
                        pass
                seq += 1
        return named

    def log_id(self, bundles):
        """Of the first key the log had: one of the policy's, or the one that GENESIS of the bundle names."""
        def of(public):
            origin = self.head.origin.encode()
            return domain("log-id", struct.pack("<I", len(origin)) + origin + public)

        ids = [of(key.public) for key in self.policy.logs if key.name == self.head.origin]
        data = min(bundles.items())[1]
        try:
            leaf = Leaf(data[2:2 + int.from_bytes(data[:2], "big")])
        except ValueError:
            return ids[0]
        if leaf.kind == "GENESIS" and leaf.body["origin"] == self.head.origin:
            ids.append(of(leaf.body["log_key"]))
        return leaf.log_id if leaf.log_id in ids else ids[0]

    def tree(self, found, bundles, old):
        def check(condition, what):
            require(condition, "INTEGRITY", what)

        size = self.head.size
        check(bundles, "there is no leaf in it: nothing is proven")
        for index, width in bundles:
            check(index * 256 < size and width == min(256, size - index * 256), f"entry bundle {index} of {width}")
        check(not old or old.size <= size, "checkpoint.old is larger than the checkpoint")
        needed = tiles_needed(size, [index for index, _ in bundles], old.size if old else None)
        tree = Tiles()
        for level, index, width in found:
            check(needed.get((level, index)) == width, f"tile {level}/{index} is not referenced")
            check(len(found[(level, index, width)]) == 32 * width, f"tile {level}/{index} has another length")
            tree.tiles[(level, index)] = found[(level, index, width)]
        check(len(tree.tiles) == len(needed), "a tile is missing")
        # The right edge gives the root; every full tile is tied to its parent.
        root, rest, at = None, size, 0
        parts = []
        while rest:
            bit = 1 << (rest.bit_length() - 1)
            level = bit.bit_length() - 1
            tile_level, height = divmod(level, 8)
            first = (at >> level) << height
            hashes = tree.hashes(tile_level, first >> 8)[first & 255:(first & 255) + (1 << height)]
            parts.append(fold(hashes))
            at, rest = at + bit, rest - bit
        for part in reversed(parts):
            root = part if root is None else node_hash(part, root)
        check(root == self.head.root, "the tiles give another root than the checkpoint signs")
        for (level, index), width in needed.items():
            if width == 256:
                parent = tree.hashes(level + 1, index >> 8)
                check(parent[index & 255] == fold(tree.hashes(level, index)), f"tile {level}/{index}: not its parent's")
        return tree

    def contents(self, tree, bundles, data_of, states, blobs):
        def check(condition, what):
            require(condition, "INTEGRITY", what)

        walk = Walk(self.log_id(bundles))
        references, data_used, states_used, genesis, key_leaves = {}, set(), set(), None, []
        for index, width in sorted(bundles):
            leaves, rest = [], bundles[(index, width)]
            while rest:
                length = int.from_bytes(rest[:2], "big")
                check(len(rest) >= 2 + length and len(rest) >= 2, f"entry bundle {index} is cut off")
                leaves.append(rest[2:2 + length])
                rest = rest[2 + length:]
            check(len(leaves) == width, f"entry bundle {index}: {len(leaves)} leaves of {width}")
            check(data_of.get(index) != b"", f"data/{index}.bin opens nothing")
            try:
                openings = read_openings(data_of.get(index, b""))
            except ValueError as error:
                raise Fail("FORMAT", f"data/{index}.bin: {error}") from None
            for seq, (data, expected) in enumerate(zip(leaves, tree.hashes(0, index)), 256 * index):
                check(leaf_hash(data) == expected, f"leaf {seq}: its bytes are not those hashed in the tree")
                leaf = walk.step(seq, data)
                self.leaves += 1
                self.seen_leaves[seq] = (data, leaf)
                refer(leaf, references)
                if leaf.kind == "GENESIS":
                    genesis = leaf.body
                elif leaf.kind == "KEY":
                    key_leaves.append((seq, leaf.body))
                if openings and openings[0][0] == seq:
                    check(walk.boot["known"], f"cycle {seq}: the leaves do not tell what was in force for it")
                    self.open_cycle(leaf, openings.pop(0)[1])
                if seq in states:
                    state = states[seq]
                    ok = leaf.kind == "CYCLE" and leaf.body["state"] != ZERO and len(state) >= 32
                    check(ok and commit("state", state[:32], state[32:]) == leaf.body["state"],
                          f"cycle {seq}: the state is not what the leaf commits to")
                    states_used.add(seq)
            check(not openings, f"data/{index}.bin: a cycle that is not there")
            data_used.add(index)
        check(set(data_of) <= data_used, "data that belongs to no leaf of the bundle")
        check(set(states) == states_used, "a state that belongs to no leaf of the bundle")
        for name, content in blobs.items():
            check(name in references, f"blob {name.hex()} is not referenced by any leaf")
            check(domain(references[name], content) == name, f"blob {name.hex()} does not hash to its name")
        if not key_leaves:
            return None
        check(genesis, "there are KEY leaves, but not GENESIS, whose keys they change")
        try:
            keys = KeySet(genesis)
            for seq, body in key_leaves:
                keys.apply(seq, body)
        except ValueError as error:
            raise Fail("INTEGRITY", f"KEY leaves: {error}") from None
        return keys

    def open_cycle(self, leaf, fields):
        check = {"inputs": lambda data: check_inputs(data, leaf.body["n_inputs"]),
                 "stages": lambda data: check_stages(data, leaf.body["n_stages"]),
                 "outcome": lambda data: check_outcome(data, leaf)}
        require(leaf.kind == "CYCLE", "INTEGRITY", f"leaf {leaf.seq}: data for a leaf that is no cycle")
        require(any(fields), "INTEGRITY", f"cycle {leaf.seq}: its record opens nothing")
        for name, opening in zip(("inputs", "stages", "outcome"), fields):
            if opening is None:
                continue
            require(commit(name, *opening) == leaf.body[name], "INTEGRITY",
                    f"cycle {leaf.seq}: {name} are not what the leaf commits to")
            try:
                self.facts.setdefault(leaf.seq, {})[name] = check[name](opening[1])
            except ValueError as error:
                raise Fail("INTEGRITY", f"cycle {leaf.seq}: {name}: {error}") from None
        self.opened += 1

    def consistent(self, tree, old):
        before = [(old.size, old.root)] if old else []
        seen = self.seen.get(self.head.origin)
        if seen:
            before.insert(0, (seen["size"], bytes.fromhex(seen["root"])))
        if not before and not self.must_be_consistent:
            return ("NOT_CHECKED", "no earlier checkpoint was given")
        for size, root in before:
            if size > self.head.size:
                return ("FAIL", f"the log had {size} leaves before, now {self.head.size}")
            try:
                if tree.root(size) != root:
                    return ("FAIL", f"fork: at size {size} the root was another one")
            except KeyError:
                return ("NOT_CHECKED", f"a tile is missing: ask for a bundle that continues size {size}")
        # A checkpoint that the bundle itself brings is none that its reader remembers.
        if self.must_be_consistent and not seen:
            return ("NOT_CHECKED", "first seen: nothing is remembered of this log")
        return ("PASS", "")

    def witnessed(self, cosigners):
        if not self.policy.quorum:
            return ("NOT_CHECKED", "the policy asks for no witness")
        ok = self.policy.is_witnessed(cosigners)
        return ("PASS", "") if ok else ("FAIL", f"{len(cosigners)} cosignatures do not make the quorum")

    def is_fresh(self):
        if not self.fresh:
            return ("NOT_CHECKED", "no time to compare with was given")
        if self.time_s is None:
            return ("FAIL", "the checkpoint carries no signed time")
        now, max_age = self.fresh
        return ("PASS", "") if abs(self.time_s - now) <= max_age else ("FAIL", f"signed at {self.time_s}")


def refer(leaf, references):
    """Notes which artefacts a leaf names, and in which domain they are hashed."""
    body = leaf.body
    named = {"CYCLE": [("manifest", "manifest"), ("config", "config"), ("calibration", "calibration")],
             "BOOT": [("manifest", "manifest"), ("config", "config"), ("calibration", "calibration")],
             "SWAP": [("old", "manifest"), ("manifest", "manifest"), ("golden", "blob"), ("attestation", "blob")],
             "CONFIG": [("old", "config"), ("config", "config")],
             "CALIBRATION": [("old", "calibration"), ("calibration", "calibration")]}
    for field, purpose in named.get(leaf.kind, []):
        if body[field] != ZERO:
            references[body[field]] = purpose


def ordered_bits(value):
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return bits ^ 0xFFFFFFFF if bits >> 31 else bits | 1 << 31


def add_up(saved, start, end):
    """What a ROLLUP leaf over these leaves has to say."""
    first, last = saved.seen_leaves[start], saved.seen_leaves[end - 1]
    sums = {"start": start, "end": end, "first_wall_ns": first[1].wall_ns, "last_wall_ns": last[1].wall_ns,
            "first_prev": first[1].prev, "last_witness": domain("leaf", last[0]), "missed_ticks": 0,
            "by_outcome": [0] * 5, "by_class": [0] * 4, "by_disposition": [0] * 7, "occupancy": [0] * 9,
            "quality_sum": 0, "quality_count": 0, "quality_min_bits": 2**32 - 1, "quality_max_bits": 0}
    manifests, before, opened, cycles = {}, None, 0, 0
    for seq in range(start, end):
        leaf, facts = saved.seen_leaves[seq][1], saved.facts.get(seq, {})
        if leaf.kind != "CYCLE":
            continue
        cycles += 1
        sums["by_outcome"][leaf.body["code"]] += 1
        sums["by_class"][leaf.body["class"]] += 1
        manifests[leaf.body["manifest"]] = manifests.get(leaf.body["manifest"], 0) + 1
        if before and before.boot_id == leaf.boot_id:
            sums["missed_ticks"] += max(0, leaf.tick - before.tick - 1)
        before = leaf
        if "stages" not in facts or "outcome" not in facts:
            continue
        opened += 1
        for disposition in facts["stages"]:
            sums["by_disposition"][disposition] += 1
        people, score = facts["outcome"]
        sums["occupancy"][8 if people is None else min(people, 7)] += 1
        if score is not None:
            # Of scores that are none the sum ends at the limits of an i128.
            units = max(-(2**127), min(2**127 - 1, round(score * 2**24)))
            sums["quality_sum"] = max(-(2**127), min(2**127 - 1, sums["quality_sum"] + units))
            sums["quality_count"] += 1
            sums["quality_min_bits"] = min(sums["quality_min_bits"], ordered_bits(score))
            sums["quality_max_bits"] = max(sums["quality_max_bits"], ordered_bits(score))
    sums["by_manifest"] = sorted(manifests.items())
    tiles = [[leaf_hash(saved.seen_leaves[seq][0]) for seq in range(at, at + 256)] for at in range(start, end, 256)]
    sums["range_digest"] = domain("range", b"".join(fold(tile) for tile in tiles))
    return sums, opened == cycles and opened > 0


def rollups(later, saved):
    """(leaf, start, end, verdict, fields that differ) of every ROLLUP leaf: against leaves saved before they were pruned."""
    found = []
    for seq, (_, leaf) in sorted(later.seen_leaves.items()):
        if leaf.kind != "ROLLUP":
            continue
        body = leaf.body
        start, end = body["start"], body["end"]
        whole = 0 <= start < end and start % 256 == end % 256 == 0
        if not whole or any(at not in saved.seen_leaves for at in range(start, end)):
            found.append((seq, start, end, "NOT_CHECKED", []))
            continue
        sums, opened = add_up(saved, start, end)
        by_outcomes = ("by_disposition", "occupancy", "quality_sum", "quality_count", "quality_min_bits",
                       "quality_max_bits")
        skip = () if opened and any(body["occupancy"]) else by_outcomes
        differs = [name for name, value in sums.items() if name not in skip and body[name] != value]
        found.append((seq, start, end, "FAIL" if differs else "PASS", differs))
    return found


def write_state(path, seen):
    """Whole or not at all, and for good."""
    directory = os.path.dirname(path) or "."
    descriptor, temporary = tempfile.mkstemp(dir=directory)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(seen, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("bundle")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--state", help="JSON file of what was seen before; moved on when everything passes")
    parser.add_argument("--first-seen", action="store_true", help="begin to remember a log that FILE does not know yet")
    parser.add_argument("--saved", help="a bundle saved before pruning: every ROLLUP leaf is held against its leaves")
    parser.add_argument("--now", type=int, help="the present, Unix seconds, for FRESH")
    parser.add_argument("--max-age", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        with open(args.policy, encoding="utf-8") as file:
            policy = Policy(file.read())
        seen = {}
        if args.state:
            try:
                with open(args.state, encoding="utf-8") as file:
                    seen = json.load(file)
            except FileNotFoundError:
                pass
        with open(args.bundle, "rb") as file:
            data = file.read((512 << 20) + 1)
        saved = open(args.saved, "rb").read((512 << 20) + 1) if args.saved else None
    except (OSError, ValueError) as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2
    fresh = (args.now, args.max_age) if args.now is not None else None
    verifier = Verifier(policy, seen, bool(args.state), fresh)
    verifier.run(data)
    head = verifier.head
    if args.first_seen and head and head.origin not in seen and verifier.levels["CONSISTENT"][0] == "NOT_CHECKED":
        verifier.required = [level for level in verifier.required if level != "CONSISTENT"]
    rolled = None
    if saved is not None and verifier.accepted():
        before = Verifier(policy, {}, False, None)
        before.run(saved)
        if not before.accepted() or before.head.origin != head.origin:
            print(f"verify.py: {args.saved} is not a bundle of this log that verifies", file=sys.stderr)
            return 2
        rolled = rollups(verifier, before)
    verdicts = [verdict for *_, verdict, _ in rolled or []]
    accepted = verifier.accepted() and (saved is None or "PASS" in verdicts and "FAIL" not in verdicts)
    if args.json:
        print(json.dumps({
            "accepted": accepted, "required": verifier.required,
            "origin": head.origin if head else None, "size": head.size if head else None,
            "root": head.root.hex() if head else None, "time_s": verifier.time_s,
            "leaves": verifier.leaves, "cycles_opened": verifier.opened,
            "levels": {level: {"verdict": v, **({"reason": r} if r else {})} for level, (v, r) in verifier.levels.items()},
        }))
    else:
        for level, (verdict, reason) in verifier.levels.items():
            print(f"{level:<11} {verdict:<11}  {reason}".rstrip())
        if head:
            print(f"log {head.origin}, size {head.size}")
        print(f"{verifier.leaves} leaves, {verifier.opened} cycles opened")
        for seq, start, end, verdict, differs in rolled or []:
            print(f"ROLLUP leaf {seq} over {start} to {end}: {verdict} {' '.join(differs)}".rstrip())
    if accepted and args.state:
        seen[head.origin] = {"size": head.size, "root": head.root.hex()}
        write_state(args.state, seen)
    return 0 if accepted else 1


if __name__ == "__main__":
    sys.exit(main())
