"""The collection around the tokens: URIs rebuilt from digests, royalty, interfaces, roles, transfers."""

import hashlib
import secrets

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.common.cid import digest_of_raw_cid, raw_cid
from tests.contracts.songs import Songs

ADMIN_ROLE = bytes(32)


# One contract for all examples: every digest is another token.
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.binary(max_size=200))
@example(document=b"{}")
def test_token_uri_is_the_cid_that_python_computes(songs: Songs, document: bytes) -> None:
    audio_hash, digest = secrets.token_bytes(32), hashlib.sha256(document).digest()
    songs.send(songs.mint_signed(songs.permit(audio_hash, metadata_digest=digest)))
    uri = songs.contract.functions.tokenURI(int.from_bytes(audio_hash)).call()
    assert uri == f"ipfs://{raw_cid(document)}"
    assert digest_of_raw_cid(uri.removeprefix("ipfs://")) == digest


def test_a_token_that_does_not_exist_has_no_uri(songs: Songs) -> None:
    assert songs.refusal(songs.contract.functions.tokenURI(1)) == ("ERC721NonexistentToken", (1,))


def test_royalty_is_five_percent_for_the_admin_and_can_be_moved(songs: Songs) -> None:
    royalty = songs.contract.functions.royaltyInfo(1, 10_000)
    assert royalty.call() == [songs.admin, 500]
    songs.send(songs.contract.functions.setRoyalty(songs.stranger, 1_000), sender=songs.admin)
    assert royalty.call() == [songs.stranger, 1_000]


@pytest.mark.parametrize(
    ("interface", "supported"),
    [
        ("0x01ffc9a7", True),  # ERC-165
        ("0x80ac58cd", True),  # ERC-721
        ("0x5b5e139f", True),  # ERC-721 metadata
        ("0x2a55205a", True),  # ERC-2981
        ("0x7965db0b", True),  # IAccessControl
        ("0x780e9d63", False),  # ERC-721 enumerable
        ("0xffffffff", False),
    ],
)
def test_interfaces_are_announced(songs: Songs, interface: str, supported: bool) -> None:
    assert songs.contract.functions.supportsInterface(interface).call() is supported


@pytest.mark.parametrize(
    "signature",
    ["pause()", "unpause()", "setRoyalty(address,uint96)", "setContractURI(string)"],
)
def test_a_stranger_administers_nothing(songs: Songs, signature: str) -> None:
    arguments = {"setRoyalty(address,uint96)": (songs.stranger, 1), "setContractURI(string)": ("x",)}
    call = songs.contract.get_function_by_signature(signature)(*arguments.get(signature, ()))
    assert songs.refusal(call, sender=songs.stranger)[0] == "AccessControlUnauthorizedAccount"


def test_a_stranger_grants_no_role(songs: Songs) -> None:
    role = songs.contract.functions.EIP712_SIGNER_ROLE().call()
    grant = songs.contract.functions.grantRole(role, songs.stranger)
    assert songs.refusal(grant, sender=songs.stranger) == (
        "AccessControlUnauthorizedAccount",
        (songs.stranger.lower(), ADMIN_ROLE),
    )


def test_the_contract_uri_can_be_moved_and_says_so(songs: Songs) -> None:
    receipt = songs.send(songs.contract.functions.setContractURI("ipfs://new"), sender=songs.admin)
    assert songs.contract.functions.contractURI().call() == "ipfs://new"
    assert len(songs.contract.events.ContractURIUpdated().process_receipt(receipt)) == 1


def test_a_token_can_be_sold_while_mints_are_paused(songs: Songs) -> None:
    audio_hash = secrets.token_bytes(32)
    songs.send(songs.mint_signed(songs.permit(audio_hash)))
    songs.send(songs.contract.functions.pause(), sender=songs.admin)
    token = int.from_bytes(audio_hash)
    songs.send(songs.contract.functions.transferFrom(songs.creator, songs.stranger, token))
    assert songs.contract.functions.ownerOf(token).call() == songs.stranger


def test_there_is_no_way_to_a_token_but_the_two_mints(songs: Songs) -> None:
    """Every function that can change the state, by name: a new one has to be looked at here."""
    changing = {
        f"{entry['name']}({','.join(argument['type'] for argument in entry['inputs'])})"
        for entry in songs.contract.abi
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
    assert changing == {
        "mint(address,bytes32,bytes32,uint256,bytes)",
        "mint(string,bytes32,bytes)",
        "approve(address,uint256)",
        "setApprovalForAll(address,bool)",
        "transferFrom(address,address,uint256)",
        "safeTransferFrom(address,address,uint256)",
        "safeTransferFrom(address,address,uint256,bytes)",
        "grantRole(bytes32,address)",
        "revokeRole(bytes32,address)",
        "renounceRole(bytes32,address)",
        "pause()",
        "unpause()",
        "setRoyalty(address,uint96)",
        "setContractURI(string)",
    }
