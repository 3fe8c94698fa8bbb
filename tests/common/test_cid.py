"""CIDs against those that Kubo gives, and js-ipfs-unixfs (raw leaves of 1 MiB, balanced, 174 links)."""

import hashlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
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
}


# From Kubo's tests (ipfs/kubo, test/cli/add_test.go: CIDv1, raw leaves, chunks of 1 MiB, at most 174 links):
# one full node, and one leaf more, which makes a second level.
KUBO_VECTORS = {
    174: "bafybeigwduxcf2aawppv3isnfeshnimkyplvw3hthxjhr2bdeje4tdaicu",
    175: "bafybeidhd7lo2n2v7lta5yamob3xwhbxcczmmtmhquwhjesi35jntf7mpu",
}


@pytest.fixture(scope="module")
def kubo_stream() -> memoryview:
    """175 MiB as Kubo's tests make them from a seed (harness/random_reader.go): a ChaCha20 stream."""
    key = hashlib.sha256(b"v1-seed").digest()
    cipher = Cipher(ChaCha20(key, nonce=bytes(16)), mode=None).encryptor()
    return memoryview(cipher.update(bytes(175 * MIB)))


@pytest.mark.parametrize("mebibytes", KUBO_VECTORS)
def test_a_large_file_has_the_cid_that_kubo_gives_it(kubo_stream: memoryview, mebibytes: int) -> None:
    assert unixfs_cid(kubo_stream[: mebibytes * MIB]) == KUBO_VECTORS[mebibytes]


def test_a_short_text_has_the_cid_that_kubo_gives_it() -> None:
    kubo = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"  # same file of Kubo's
    assert unixfs_cid(b"hello world") == raw_cid(b"hello world") == kubo


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
