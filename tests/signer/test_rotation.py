"""A permit key is changed without a gap, on a chain, a ledger and a signer that are real."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3
from web3.contract.contract import ContractFunction

from acesteps.signer.v1 import signer_service_pb2 as pb
from deploy.local import chain as local_chain
from deploy.local.chain import Chain
from deploy.local.contract import call_rpc, deploy_song_nft, development_accounts
from deploy.local.postgres import Database
from services.common.cid import digest_of_raw_cid
from services.signer.keys.commands import main as keys_cli
from services.signer.request import PermitFormat
from services.signer.rotation import LastPermit, Rotation, Situation, steps
from tests.contracts.songs import Permit, Songs, at
from tests.signer.attested import request_for, statement
from tests.signer.chain_steps import KeyFile, funded, key_file, sign_and_send
from tests.signer.process import SignerProcess, write_files

HOUR_S = 3600
Rotate = Callable[..., int]


@dataclass(frozen=True)
class Stage:
    """A contract whose admin is a keystore, and a signer for it with the old key."""

    chain: Chain
    songs: Songs
    admin: KeyFile
    old: KeyFile
    new: KeyFile
    process: SignerProcess
    rotate: Rotate

    def request(self) -> pb.SignMintPermitRequest:
        return request_for(statement(), contract=self.songs.contract.address)

    def ask(self, request: pb.SignMintPermitRequest) -> pb.SignMintPermitResponse:
        async def asked() -> pb.SignMintPermitResponse:
            async with self.process.client() as client:
                return await client.permit(request)

        return asyncio.run(asked())  # the command under test has a loop of its own

    def mint(self, request: pb.SignMintPermitRequest, permit: pb.SignMintPermitResponse) -> ContractFunction:
        asked = Permit(
            to=request.to,
            audio_hash=request.audio_hash,
            metadata_digest=digest_of_raw_cid(request.metadata_uri.removeprefix("ipfs://")),
            deadline=permit.deadline.seconds,
        )
        return self.songs.mint(asked, permit.signature)

    def mints(self, request: pb.SignMintPermitRequest, permit: pb.SignMintPermitResponse) -> bool:
        self.songs.send(self.mint(request, permit))
        return self.songs.is_minted(request.audio_hash)

    def switch(self) -> None:
        """Restart the signer with the new key."""
        self.process.stop()
        self.process.settings |= {
            "SIGNER_KEYSTORE_FILE": str(self.new.keystore),
            "SIGNER_KEYSTORE_PASSWORD_FILE": str(self.new.password_file),
        }
        self.process.start()


@pytest.fixture(scope="module")
def own_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Apart from that of other tests: its clock is set forward."""
    with local_chain.start(tmp_path_factory.mktemp("chain")) as node:
        yield node


@pytest.fixture
def stage(
    own_chain: Chain,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Stage]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNER_DATABASE_URL", database.signer_dsn)
    url = own_chain.rpc_url
    files = write_files(tmp_path / "signer")
    old = KeyFile(tmp_path / "signer" / "eip712.json", tmp_path / "signer" / "eip712.password")
    admin, new = funded(url, tmp_path, "admin"), KeyFile(tmp_path / "new.json", tmp_path / "new.password")
    deployer, creator, stranger = development_accounts(url)[:3]
    address = deploy_song_nft(url, deployer, eip712_signers=[old.address])
    w3 = Web3(HTTPProvider(url))
    contract = at(w3, address)
    contract.functions.grantRole(bytes(32), admin.address).transact({"from": deployer})
    settings = files | {"SIGNER_DATABASE_URL": database.signer_dsn, "SIGNER_CONTRACT": address}
    songs = Songs(w3, contract, deployer, creator, stranger, old.account, old.account)
    common = ["--rpc-url", url, "--chain-id", "31337", "--contract", address, "--old", old.address]
    key = [*new.options(), "--new-password", "--scrypt-n", "2"]

    def rotate(*arguments: object, admin_by: list[str] | None = None) -> int:
        account = admin.options("admin-") if admin_by is None else admin_by
        return keys_cli(["rotate", *common, *key, *account, *map(str, arguments)])

    process = SignerProcess(settings, tmp_path / "log")
    with process.running():
        capsys.readouterr()
        yield Stage(own_chain, songs, admin, old, new, process, rotate)


def test_a_key_is_rotated_without_a_gap(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    before, outstanding, forgotten = stage.request(), stage.request(), stage.request()
    by_old = {r.audio_hash: stage.ask(r) for r in (before, outstanding, forgotten)}

    # A dry run tells the way and changes nothing.
    assert stage.rotate() == 0
    told = capsys.readouterr().out
    assert "1 make the new key [next]" in told
    assert "dry run" in told
    assert not stage.new.keystore.exists()

    # Applied: key and role; then it is the operator's turn. Again: nothing more.
    assert stage.rotate("--apply") == 3
    told = capsys.readouterr().out
    assert f"SIGNER_KEYSTORE_FILE={stage.new.keystore}" in told
    assert "[waits: the signers still use the old key]" in told
    assert stage.rotate("--apply") == 3
    assert "mined" not in capsys.readouterr().out

    # Overlap: permits by both mint, and one of the old key that is asked for again is the new key's.
    stage.switch()
    after = stage.request()
    by_new = stage.ask(after)
    assert by_new.signer == stage.new.address
    assert stage.mints(after, by_new)
    assert by_old[before.audio_hash].signer == stage.old.address
    assert stage.mints(before, by_old[before.audio_hash])
    signed_again = stage.ask(outstanding)
    assert signed_again.signer == stage.new.address
    assert stage.mints(outstanding, signed_again)

    # The old role ends when the last old permit has.
    assert stage.rotate("--apply", "--switched") == 3
    assert "permits by the old key are good until" in capsys.readouterr().out
    call_rpc(stage.chain.rpc_url, "evm_increaseTime", HOUR_S + 120)
    call_rpc(stage.chain.rpc_url, "evm_mine")
    assert stage.rotate() == 0
    assert f"revoke EIP712_SIGNER_ROLE of {stage.old.address} [next]" in capsys.readouterr().out
    assert stage.rotate("--apply") == 0
    assert "rotated" in capsys.readouterr().out
    assert stage.rotate("--apply") == 0
    told = capsys.readouterr().out
    assert "rotated" in told
    assert "mined" not in told

    # What the old key signs from now on is worth nothing; the new key's permits go on.
    assert stage.songs.refusal(stage.mint(forgotten, by_old[forgotten.audio_hash]))[0] == "PermitExpired"
    fresh = stage.songs.permit(b"\x77" * 32)
    theft = stage.songs.mint(fresh, fresh.sign(stage.old.account, stage.songs.domain))
    assert stage.songs.refusal(theft)[0] == "SignerNotTrusted"
    good = stage.songs.mint(fresh, fresh.sign(stage.new.account, stage.songs.domain))
    stage.songs.send(good)
    secret = bytes(stage.new.account.key).hex()
    assert secret not in told
    assert secret not in Path(f"rotation.{stage.old.address.lower()}.json").read_text()


def test_a_stolen_key_loses_its_role_first_with_all_it_signed(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    far = timedelta(days=1)  # this chain's clock may be ahead of the signer's
    song = stage.songs.permit(b"\x78" * 32, deadline=int(time.time() + 2 * far.total_seconds()))
    stolen = stage.songs.mint(song, song.sign(stage.old.account, stage.songs.domain))
    assert stage.rotate("--stolen", "--apply") == 3
    told = capsys.readouterr().out
    assert told.index("mined: revoke") < told.index("mined: grant")
    assert stage.songs.refusal(stolen)[0] == "SignerNotTrusted"
    stage.songs.send(stage.songs.mint(song, song.sign(stage.new.account, stage.songs.domain)))


def test_an_admin_with_a_hardware_wallet_signs_each_step(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, wallet = tmp_path / "unsigned.json", ["--admin-address", stage.admin.address]
    assert stage.rotate("--apply", "--unsigned", file, admin_by=wallet) == 3
    assert [t["what"] for t in json.loads(file.read_text())] == [
        f"grant EIP712_SIGNER_ROLE to {stage.new.address}"
    ]
    sign_and_send(stage.chain.rpc_url, stage.admin.account, file)
    assert stage.rotate("--apply", admin_by=wallet) == 3
    assert f"grant EIP712_SIGNER_ROLE to {stage.new.address} [done]" in capsys.readouterr().out


def test_a_signer_that_was_forgotten_in_the_switch_is_noticed(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replica still signs with the old key: its permits must not lose their signer."""
    long = ["--apply", "--permit-lifetime-s", 86400]
    assert stage.rotate(*long) == 3
    assert stage.rotate(*long, "--switched") == 3
    record = Path(f"rotation.{stage.old.address.lower()}.json")
    noted = json.loads(record.read_text())
    assert stage.rotate(*long, "--switched") == 3
    assert json.loads(record.read_text()) == noted  # said twice, it is no later

    noted["switched_at"] = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    record.write_text(json.dumps(noted))
    stage.ask(stage.request())
    capsys.readouterr()
    assert stage.rotate(*long) == 3
    assert "after the switch: a signer still uses it" in capsys.readouterr().out
    assert stage.rotate(*long, "--switched") == 3
    assert json.loads(record.read_text())["switched_at"] > noted["switched_at"]


def test_a_switch_before_the_role_is_refused(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert stage.rotate("--switched") == 1
    assert "the new key has no role" in capsys.readouterr().err
    assert not stage.new.keystore.exists()


def test_a_rotation_that_makes_no_sense_is_refused(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = key_file(tmp_path, "other")
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(json.dumps({"old": other.address}))
    refused: dict[str, list[object]] = {
        "the new key is the old one": [
            "--keystore",
            stage.old.keystore,
            "--password-file",
            stage.old.password_file,
        ],
        "there is no contract": ["--contract", other.address],
        "is the record of another rotation": ["--record", elsewhere],
        "is on chain 31337": ["--chain-id", 1],
        "give one of": ["--new-address", other.address],
    }
    capsys.readouterr()
    for complaint, arguments in refused.items():
        assert stage.rotate(*arguments) == 1
        assert complaint in capsys.readouterr().err
    monkeypatch.setenv("SIGNER_DATABASE_URL", "postgresql://signer:hunter2@127.0.0.1:1/acesteps")
    assert stage.rotate("--apply") == 1
    told = capsys.readouterr().err
    assert "cannot read the ledger" in told
    assert "hunter2" not in told


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROTATION = Rotation("0xc", "0xa", PermitFormat.EIP712, "0x" + "01" * 20, "0x" + "02" * 20, timedelta(hours=1))
OVERLAP = Situation(True, True, NOW, LastPermit(None, None), NOW)


@pytest.mark.parametrize(
    ("rotation", "situation", "may_revoke"),
    [
        (ROTATION, OVERLAP, False),
        (ROTATION, replace(OVERLAP, now=NOW + timedelta(minutes=60)), False),
        (ROTATION, replace(OVERLAP, now=NOW + timedelta(minutes=62)), True),
        (ROTATION, replace(OVERLAP, now=NOW + timedelta(minutes=62), last_permit=None), True),
        (
            ROTATION,
            replace(
                OVERLAP,
                now=NOW + timedelta(minutes=62),
                last_permit=LastPermit(NOW + timedelta(minutes=90), NOW),
            ),
            False,
        ),
        (ROTATION, replace(OVERLAP, new_has_role=False, now=NOW + timedelta(days=9)), False),
        (ROTATION, replace(OVERLAP, switched_at=None, now=NOW + timedelta(days=9)), False),
        # Packed permits never run out: whoever holds one asks again.
        (replace(ROTATION, format=PermitFormat.PACKED), OVERLAP, True),
        (replace(ROTATION, at_once=True), replace(OVERLAP, new_has_role=False, switched_at=None), True),
    ],
)
def test_the_old_role_ends_when_nothing_needs_it(
    rotation: Rotation, situation: Situation, may_revoke: bool
) -> None:
    (revoke,) = [step for step in steps(rotation, situation) if step.name == "revoke"]
    assert (not revoke.waits_for) is may_revoke
