"""How many permits a second the signer gives: `python -m bench.signer [--clients 16] [--seconds 20]`.

The real process over gRPC, its ledger on an embedded PostgreSQL with fsync on, every song with an attestation
of its own; beside it what bare typed-data signing does. Prints a table and one line of JSON.
"""

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from eth_account import Account

from acesteps.signer.v1 import signer_service_pb2 as pb
from bench.processes import cpu_seconds
from deploy.local import keys, postgres
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.postgres import Database
from deploy.local.processes import Child
from deploy.local.services import service_command
from services.common.cid import raw_cid, unixfs_cid
from services.common.provenance import AttestationKey, SongStatement, attest, version_digest
from services.signer.formats import Domain, eip712_digest
from services.signer.keys import KeystoreKey, sign_checked

CHAIN_ID = 31337
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
WEIGHTS = version_digest("1")
CREATORS = 500
WARM_UP = 100
# Never reached, but counted.
QUOTA = 1_000_000
CALL_TIMEOUT_S = 10.0
BARE_SIGNATURES = 2000


@dataclass(frozen=True)
class Outcome:
    """New permits a second over gRPC, how long each took for its caller, and of the signer's CPU."""

    permits: int
    per_second: float
    median_ms: float
    p99_ms: float
    signer_cpu_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.signer", description=__doc__)
    parser.add_argument("--clients", type=int, default=16, help="callers, each with one request in flight")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long they ask, at most")
    parser.add_argument(
        "--songs", type=int, default=20_000, help="attested songs at hand, each asked for once"
    )
    parser.add_argument("--at-least", type=float, default=0.0, help="permits a second; exit 1 below")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="acesteps-bench-") as folder:
        over_grpc = measure(Path(folder), arguments.clients, arguments.seconds, arguments.songs)
    ours, library = bare()
    for name, figure in (
        (f"permits over gRPC, {arguments.clients} clients", f"{over_grpc.per_second:,.0f} /s"),
        ("  median, 99th percentile", f"{over_grpc.median_ms:.1f}, {over_grpc.p99_ms:.1f} ms"),
        ("  the signer's share of a core", f"{over_grpc.signer_cpu_ms:.2f} ms"),
        ("bare: EIP-712 digest, signature, recovery", f"{ours:,.0f} /s"),
        ("bare: sign_typed_data of eth-account", f"{library:,.0f} /s"),
    ):
        print(f"{name:<44}{figure:>16}")
    figures = {
        "clients": arguments.clients,
        "permits": over_grpc.permits,
        "permits_per_s": round(over_grpc.per_second, 1),
        "median_ms": round(over_grpc.median_ms, 2),
        "p99_ms": round(over_grpc.p99_ms, 2),
        "signer_cpu_ms": round(over_grpc.signer_cpu_ms, 2),
        "bare_per_s": round(ours),
        "bare_eth_account_per_s": round(library),
        "cpus": os.cpu_count(),
    }
    print(json.dumps(figures))
    if over_grpc.per_second < arguments.at_least:
        raise SystemExit(f"fewer than {arguments.at_least:g} permits a second")


def measure(root: Path, clients: int, seconds: float, songs: int) -> Outcome:
    """Starts PostgreSQL and the signer below `root`, asks for permits, and stops both."""
    root.chmod(0o711)  # PostgreSQL runs as a user of its own and passes through
    pod_key = keys.ensure_pod_key(root / "keys")
    keys.trust_pod(root / "bundle.json", pod_key, "sketch", WEIGHTS, ("text2music",))
    requests = attested_requests(AttestationKey.load(pod_key), songs + WARM_UP)
    with postgres.start(root / "postgres") as server:
        assert server.execute("SHOW fsync") == "on\n"
        signer, port = signer_process(root, server.create_database("bench"))
        signer.start()
        try:
            signer.wait_ready()
            assert signer.pid is not None
            return asyncio.run(ask(port, signer.pid, requests, clients, seconds))
        finally:
            signer.stop()


def signer_process(root: Path, database: Database) -> tuple[Child, int]:
    (port,) = free_ports(1)
    keystore = keys.ensure_keystore(root / "keys", "eip712")
    settings = {
        "DATABASE_URL": database.signer_dsn,
        "OWNER_DATABASE_URL": database.signer_owner_dsn,
        "KEYSTORE_FILE": keystore.file,
        "KEYSTORE_PASSWORD_FILE": keystore.password_file,
        "CHAIN_ID": CHAIN_ID,
        "CONTRACT": CONTRACT,
        "TRUST_BUNDLE_FILE": root / "bundle.json",
        "TRUST_STATE_FILE": root / "bundle.state.json",
        "CREATOR_DAILY_QUOTA": QUOTA,
        "DAILY_QUOTA": QUOTA,
    }
    return Child(service_command("signer", port, settings, root / "signer.log", ()), lambda line: None), port


def attested_requests(pod: AttestationKey, count: int) -> list[bytes]:
    """Requests for permits of distinct songs, serialised, so that asking costs the clients little."""
    wallets = [f"0x{secrets.token_hex(20)}" for _ in range(CREATORS)]
    return [_request(pod, wallets[i % CREATORS], i).SerializeToString() for i in range(count)]


def _request(pod: AttestationKey, creator: str, seed: int) -> pb.SignMintPermitRequest:
    audio, now = secrets.token_bytes(64), datetime.now(UTC)
    song = SongStatement(
        song_id=f"song-{seed}",
        audio_sha256=hashlib.sha256(audio).digest(),
        audio_cid=unixfs_cid(audio),
        pcm_sha256=hashlib.sha256(audio + b"pcm").digest(),
        state_sha256=hashlib.sha256(audio + b"state").digest(),
        task="text2music",
        source_audio_sha256=None,
        engine="sketch",
        engine_version="1",
        weights_digest=WEIGHTS,
        request_digest=hashlib.sha256(audio + b"request").hexdigest(),
        creator_address=creator,
        media_type="audio/mpeg",
        audio_bytes=len(audio),
        duration_s=30.0,
        seed=seed,
        started_at=now - timedelta(seconds=2),
        finished_at=now - timedelta(seconds=1),
        pod_id="music-0",
    )
    # About as long as the gateway's own documents.
    fields = {
        "name": f"Song {seed}",
        "description": "x" * 600,
        "audio_hash": f"0x{song.audio_sha256.hex()}",
        "animation_url": f"ipfs://{song.audio_cid}",
    }
    metadata = json.dumps(fields).encode()
    return pb.SignMintPermitRequest(
        envelopes=[attest(song, pod)],
        to=creator,
        metadata_uri=f"ipfs://{raw_cid(metadata)}",
        metadata=metadata,
        audio_hash=song.audio_sha256,
        format=pb.PERMIT_FORMAT_EIP712,
        chain_id=CHAIN_ID,
        contract=CONTRACT,
    )


async def ask(port: int, pid: int, requests: Sequence[bytes], clients: int, seconds: float) -> Outcome:
    """`clients` callers ask for one permit after the other until the time or the songs are over."""
    left, waits = iter(requests), list[float]()

    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        service = pb.DESCRIPTOR.services_by_name["SignerService"].full_name
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, pb.SignMintPermitResponse] = channel.unary_unary(
            f"/{service}/SignMintPermit", response_deserializer=pb.SignMintPermitResponse.FromString
        )

        async def caller(until: float) -> None:
            for request in left:
                begun = time.perf_counter()
                permit = await call(request, timeout=CALL_TIMEOUT_S)
                waits.append(time.perf_counter() - begun)
                assert not permit.repeated_permit
                if time.perf_counter() > until:
                    return

        async def warm(count: int) -> None:
            for _ in range(count):
                await call(next(left), timeout=CALL_TIMEOUT_S)

        await asyncio.gather(*(warm(WARM_UP // clients) for _ in range(clients)))
        begun, cpu_begun_s = time.perf_counter(), cpu_seconds(pid)
        await asyncio.gather(*(caller(begun + seconds) for _ in range(clients)))
        took_s, cpu_s = time.perf_counter() - begun, cpu_seconds(pid) - cpu_begun_s
    waits.sort()
    return Outcome(
        permits=len(waits),
        per_second=len(waits) / took_s,
        median_ms=statistics.median(waits) * 1e3,
        p99_ms=waits[int(len(waits) * 0.99)] * 1e3,
        signer_cpu_ms=cpu_s / len(waits) * 1e3,
    )


def bare() -> tuple[float, float]:
    """Signatures a second in one thread, without rules, ledger and network: ours, and eth-account's."""
    secret, domain = secrets.token_bytes(32), Domain(CHAIN_ID, bytes.fromhex(CONTRACT[2:]))
    to, audio_hash, digest, deadline = bytes(20), secrets.token_bytes(32), secrets.token_bytes(32), 2**31

    async def ours() -> None:
        key = KeystoreKey(secret)
        for _ in range(BARE_SIGNATURES):
            await sign_checked(key, eip712_digest(domain, to, audio_hash, digest, deadline))

    begun = time.perf_counter()
    asyncio.run(ours())
    ours_s = time.perf_counter() - begun

    types = {
        "MintPermit": [
            {"name": "to", "type": "address"},
            {"name": "audioHash", "type": "bytes32"},
            {"name": "metadataDigest", "type": "bytes32"},
            {"name": "deadline", "type": "uint256"},
        ]
    }
    named = {"name": "AceSteps SongNFT", "version": "1", "chainId": CHAIN_ID, "verifyingContract": CONTRACT}
    message = {"to": to, "audioHash": audio_hash, "metadataDigest": digest, "deadline": deadline}
    account = Account.from_key(secret)
    begun = time.perf_counter()
    for _ in range(BARE_SIGNATURES):
        account.sign_typed_data(named, types, message)
    return BARE_SIGNATURES / ours_s, BARE_SIGNATURES / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
