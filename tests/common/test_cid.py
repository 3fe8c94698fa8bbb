"""CIDs against vectors that js-ipfs-unixfs made (raw leaves of 1 MiB, balanced, 174 links a node)."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.cid import digest_of_raw_cid, raw_cid, unixfs_cid

MIB = 1 << 20

VECTORS = {
    0: "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    1: "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu",
    MIB: "bafkreihwunguy6od2ewcs5mjebv7efvqqq2hi4nfh2s6p7u2i26remhqta",
    MIB + 1: "bafybeiejkouhdadwq6odmdgica7fdicfqhfogaijsax5tnxp3yg56layvy",
    3 * MIB + 7: "bafybeifkqww2qcr7bkxzqgwuybj6fmpdkg25m5iaowkco3v2pte4wjhs2a",
    # one full node, and one leaf more: a second level
    174 * MIB: "bafybeielp74wgnmisn6t2vtadhaxj2yy55thd55m2o5p2e3tgkpnbfal4i",
    174 * MIB + 1: "bafybeiftv37ulcesixp6stwo372lhetemlk6ueoylup3lovt4s5g5pjwgq",
}


def pattern(size: int) -> bytes:
    i = np.arange(size, dtype=np.uint32)
    return ((i * 31 + (i >> 8)) & 255).astype(np.uint8).tobytes()


@pytest.mark.parametrize("size", VECTORS)
def test_a_file_has_the_cid_that_ipfs_gives_it(size: int) -> None:
    assert unixfs_cid(pattern(size)) == VECTORS[size]


@given(st.binary(max_size=300))
def test_the_digest_in_a_raw_cid_is_the_sha256_of_the_block(data: bytes) -> None:
    assert digest_of_raw_cid(raw_cid(data)) == hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
        VECTORS[MIB + 1],  # a DAG-PB node, not a raw block
        VECTORS[1].upper(),
        VECTORS[1] + "a",
        VECTORS[1][:-1],
        VECTORS[1][:-1] + "v",  # trailing bits that a strict reader must not ignore
        "z" + VECTORS[1][1:],
    ],
)
def test_what_is_not_the_canonical_text_of_a_raw_cid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="CID"):
        digest_of_raw_cid(text)
