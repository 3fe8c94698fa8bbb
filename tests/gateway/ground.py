"""A contract of its own, a node that a test leads, and gateways that watch the one through the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from web3 import HTTPProvider, Web3

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.chain import Chain
from deploy.local.contract import deploy_song_nft, development_accounts, grant_roles
from services.gateway.database import open_database
from tests.contracts.songs import Songs, at
from tests.gateway.chain_proxy import ChainProxy, chain_proxy
from tests.gateway.mesh import CALL_S, Gateway, Mesh, eventually

CONFIRMATIONS = 3
PENDING, MINTED = pb.MINT_STATE_PENDING, pb.MINT_STATE_MINTED


@dataclass
class Ground:
    pods: Mesh
    songs: Songs
    node: ChainProxy
    settings: dict[str, Any] = field(default_factory=dict)

    def rpc(self, method: str, *params: object) -> Any:
        answer = self.songs.w3.provider.make_request(method, list(params))
        assert "error" not in answer, answer
        return answer["result"]

    def mine(self, blocks: int = 1) -> None:
        self.rpc("anvil_mine", hex(blocks))

    @property
    def head(self) -> int:
        return int(self.songs.w3.eth.block_number)

    async def open(self, **settings: Any) -> Gateway:
        return await self.pods.open(**self.settings | settings)

    def mint(self, song: pb.Song) -> Any:
        """The receipt of the song's mint."""
        return self.songs.send(self.songs.mint_signed(self.songs.permit(bytes.fromhex(song.audio.sha256))))

    async def next_block(self) -> int:
        async with open_database(self.pods.environment["database_url"], connections=1) as database:
            return int(await database.value("SELECT next_block FROM chain_watches") or 0)


@asynccontextmanager
async def open_ground(pods: Mesh, chain: Chain) -> AsyncIterator[Ground]:
    signer, packed_signer = Account.create(), Account.create()
    admin, creator, stranger = development_accounts(chain.rpc_url)[:3]
    address = deploy_song_nft(chain.rpc_url, admin)
    grant_roles(chain.rpc_url, admin, address, {"EIP712_SIGNER_ROLE": [signer.address]})
    w3 = Web3(HTTPProvider(chain.rpc_url))
    songs = Songs(w3, at(w3, address), admin, creator, stranger, signer, packed_signer)
    async with chain_proxy(chain.rpc_url) as node:
        settings = {
            "chain_rpc_url": node.url,
            "contract": address,
            "chain_confirmations": CONFIRMATIONS,
            "chain_poll_s": 0.02,
            "lease_s": 1.0,
        }
        yield Ground(pods, songs, node, settings)
        # Before the node is gone: whoever asks it is told off in the log.
        await pods.stack.aclose()


async def seen(gateway: Gateway, song: pb.Song, state: int) -> pb.SongMint:
    """The song's token, once it is in this state."""

    async def is_seen() -> bool:
        return (await gateway.get(song.id)).mint.state == state

    await eventually(is_seen, within_s=20)
    return (await gateway.get(song.id)).mint


async def taken_back(gateway: Gateway, song: pb.Song) -> None:
    async def is_gone() -> bool:
        return not (await gateway.get(song.id)).HasField("mint")

    await eventually(is_gone, within_s=20)


async def listed(gateway: Gateway, **filters: Any) -> set[str]:
    answer = await gateway.grpc.ListSongs(pb.ListSongsRequest(**filters), timeout=CALL_S)
    return {song.id for song in answer.songs}
