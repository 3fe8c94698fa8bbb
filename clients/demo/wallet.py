"""A creator's wallet on the local chain: funded, sends the mint, reads the token back.

Knows the contract by its public ABI only; the permit came from the gateway.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from eth_account import Account
from eth_typing import HexStr
from web3 import AsyncWeb3
from web3.providers import AsyncHTTPProvider
from web3.types import TxParams, Wei

from acesteps.gateway.v1 import gateway_service_pb2 as pb

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


class MintFailed(Exception):
    """The transaction was refused or reverted."""


class Wallet:
    """A throw-away key. Lives as long as this object."""

    def __init__(self, rpc_url: str) -> None:
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
        eth = self._web3.eth
        sender = self._web3.to_checksum_address(self.address)
        contract = self._web3.to_checksum_address(order.contract)
        try:
            tip = await eth.max_priority_fee
            block = await eth.get_block("latest")
            transaction: TxParams = {
                "from": sender,
                "to": contract,
                "data": HexStr(order.calldata),
                "value": Wei(0),
                "chainId": order.chain_id,
                "nonce": await eth.get_transaction_count(sender),
                "maxPriorityFeePerGas": tip,
                "maxFeePerGas": Wei(2 * block["baseFeePerGas"] + tip),
            }
            transaction["gas"] = await eth.estimate_gas(transaction)
            signed = self._account.sign_transaction(transaction)
            receipt = await eth.wait_for_transaction_receipt(
                await eth.send_raw_transaction(signed.raw_transaction), timeout=30
            )
        except Exception as error:  # web3 raises a dozen unrelated classes here
            raise MintFailed(f"the chain refused the mint: {error}") from error
        if receipt["status"] != 1:
            raise MintFailed(f"the mint was reverted in {receipt['transactionHash'].to_0x_hex()}")
        abi = json.loads(ABI_FILE.read_text())["abi"]
        token = eth.contract(address=contract, abi=abi).functions
        token_id = int(order.token_id, 16)
        return Minted(
            transaction=receipt["transactionHash"].to_0x_hex(),
            block=receipt["blockNumber"],
            gas_used=receipt["gasUsed"],
            owner=await token.ownerOf(token_id).call(),
            token_uri=await token.tokenURI(token_id).call(),
        )

    async def close(self) -> None:
        await self._web3.provider.disconnect()
