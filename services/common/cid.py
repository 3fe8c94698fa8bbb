"""Content identifiers (CIDv1, sha2-256, lower base32) as IPFS computes them. Stores and fetches nothing.

Sources: the multiformats CID specification; the UnixFS and DAG-PB specifications of IPLD. Agrees with
`ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576`.
"""

import base64
import hashlib
from dataclasses import dataclass

LEAF_BYTES = 1 << 20
# Kubo's balanced layout: children of one node.
_FANOUT = 174

_RAW, _DAG_PB = 0x55, 0x70
_SHA2_256 = b"\x12\x20"


@dataclass(frozen=True)
class _Node:
    cid: bytes  # binary CIDv1
    file_bytes: int  # of the content below
    dag_bytes: int  # of all blocks below and itself


def raw_cid(data: bytes) -> str:
    """CID of `data` as one raw block."""
    return _text(_cid(_RAW, data))


def unixfs_cid(data: bytes | memoryview) -> str:
    """CID of a file: raw leaves of 1 MiB under balanced UnixFS nodes; a file of one leaf is that leaf."""
    view = memoryview(data)
    level = [
        _Node(_cid(_RAW, leaf), len(leaf), len(leaf))
        for leaf in (view[i : i + LEAF_BYTES] for i in range(0, max(len(view), 1), LEAF_BYTES))
    ]
    while len(level) > 1:
        level = [_parent(level[i : i + _FANOUT]) for i in range(0, len(level), _FANOUT)]
    return _text(level[0].cid)


def digest_of_raw_cid(cid: str) -> bytes:
    """The 32-byte sha2-256 digest inside a raw-block CID.

    Raises:
        ValueError: for anything but the canonical text of such a CID.
    """
    try:
        binary = base64.b32decode(cid[1:].upper() + "=" * (-len(cid[1:]) % 8))
    except ValueError as error:
        raise ValueError(f"not a base32 CID: {error}") from error
    head = bytes([1, _RAW]) + _SHA2_256
    if len(binary) != 36 or not binary.startswith(head) or _text(binary) != cid:
        raise ValueError("not a CIDv1 of a raw block with sha2-256 in lower base32")
    return binary[4:]


def _cid(codec: int, block: bytes | memoryview) -> bytes:
    return bytes([1, codec]) + _SHA2_256 + hashlib.sha256(block).digest()


def _text(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def _parent(children: list[_Node]) -> _Node:
    """A DAG-PB node of UnixFS type File. Field order and numbers are part of the hash."""
    links = b"".join(
        _bytes_field(2, _bytes_field(1, c.cid) + _bytes_field(2, b"") + _varint_field(3, c.dag_bytes))
        for c in children
    )
    file_bytes = sum(c.file_bytes for c in children)
    unixfs = _varint_field(1, 2) + _varint_field(3, file_bytes)
    unixfs += b"".join(_varint_field(4, c.file_bytes) for c in children)
    block = links + _bytes_field(1, unixfs)
    return _Node(_cid(_DAG_PB, block), file_bytes, len(block) + sum(c.dag_bytes for c in children))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value
