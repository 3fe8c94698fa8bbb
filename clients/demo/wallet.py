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

    async def fund(self) -> None:
        """Development chains give what is asked for."""
        await self._web3.provider.make_request("anvil_setBalance", [self.address, hex(FUNDS_WEI)])

    async def mint(self, order: pb.GetMintResponse) -> Minted:
        """Send the transaction that the gateway has prepared, then read owner and tokenURI back.

        Raises MintFailed.
        """
        sent = await asyncio.to_thread(send, order, self._rpc_url, self._account)
        abi = json.loads(ABI_FILE.read_text())["abi"]
        contract = self._web3.to_checksum_address(order.contract)
        token = self._web3.eth.contract(address=contract, abi=abi).functions
        token_id = int(order.token_id, 16)
        return Minted(
            transaction=sent.transaction,
            block=sent.block,
            gas_used=sent.gas_used,
            owner=await token.ownerOf(token_id).call(),
            token_uri=await token.tokenURI(token_id).call(),
        )

    async def close(self) -> None:
        await self._web3.provider.disconnect()
