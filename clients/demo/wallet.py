"""A creator's wallet on the local chain: funded, sends the mint, reads the token back.

Knows the contract by its public ABI only; the permit came from the gateway.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from eth_account import Account
from web3 import AsyncWeb3
from web3.providers import AsyncHTTPProvider

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.wallet import send

ABI_FILE = Path(__file__).parents[2] / "build" / "contracts" / "SongNFT.json"
FUNDS_WEI = 10**18


@dataclass(frozen=True)
class Minted:
    """The token as the chain tells it, after the mint."""

    transaction: str
    block: int
    gas_used: int
    owner: str
    token_uri: str


class Wallet:
    """A throw-away key. Lives as long as this object."""

    def __init__(self, rpc_url: str) -> None:
        self._rpc_url = rpc_url
        self._web3 = AsyncWeb3(AsyncHTTPProvider(rpc_url))
        self._account = Account.create()

    @property
    def address(self) -> str:
        return str(self._account.address)

    @property
    def private_key(self) -> str:
        return str(self._account.key.to_0x_hex())

    async def fund(self) -> None:
        """Development chains give what is asked for."""
        await self._web3.provider.make_request("anvil_setBalance", [self.address, hex(FUNDS_WEI)])

    async def mint(self, order: pb.GetMintResponse) -> Minted:
        """Send the transaction that the gateway has prepared, then read owner and tokenURI back.

        Raises MintFailed.
        """
        sent = await asyncio.to_thread(send, order, self._rpc_url, self._account)
        owner, token_uri = await self.token(order.contract, order.token_id)
        return Minted(sent.transaction, sent.block, sent.gas_used, owner, token_uri)

    async def token(self, contract: str, token_id: str) -> tuple[str, str]:
        """Owner and tokenURI, as the contract tells them."""
        abi = json.loads(ABI_FILE.read_text())["abi"]
        address = self._web3.to_checksum_address(contract)
        functions = self._web3.eth.contract(address=address, abi=abi).functions
        number = int(token_id, 16)
        return await functions.ownerOf(number).call(), await functions.tokenURI(number).call()

    async def close(self) -> None:
        await self._web3.provider.disconnect()
