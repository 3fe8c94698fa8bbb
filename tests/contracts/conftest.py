"""A fresh `SongNFT` on a real chain for each test."""

import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3

from deploy.local.chain import Chain, Deployment
from deploy.local.contract import development_accounts, grant_roles
from tests.contracts.songs import Songs, at


@pytest.fixture(scope="session")
def w3(anvil: Chain) -> Web3:
    return Web3(HTTPProvider(anvil.rpc_url))


@pytest.fixture
def songs(anvil: Chain, w3: Web3, song_nft: Deployment) -> Songs:
    signer, packed_signer = Account.create(), Account.create()
    roles = {"EIP712_SIGNER_ROLE": [signer.address], "PACKED_SIGNER_ROLE": [packed_signer.address]}
    grant_roles(anvil.rpc_url, song_nft.admin, song_nft.address, roles)
    _, creator, stranger = development_accounts(anvil.rpc_url)[:3]
    contract = at(w3, song_nft.address)
    return Songs(w3, contract, song_nft.admin, creator, stranger, signer, packed_signer)
