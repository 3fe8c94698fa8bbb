"""The manifests' own settings, with mutual TLS and production's rules, run the real services to a permit."""

import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from eth_account import Account

from acesteps import AcestepsError, AsyncClient
from acesteps.lyrics.v1 import lyrics_service_pb2, lyrics_service_pb2_grpc
from acesteps.music.v1 import music_service_pb2, music_service_pb2_grpc
from acesteps.signer.v1 import signer_service_pb2, signer_service_pb2_grpc
from acesteps.wallet import signer
from deploy.local.chain import Chain, Deployment
from deploy.local.contract import grant_roles
from deploy.local.keys import ensure_keystore
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import Database
from services.common.tls import TlsFiles
from tests.common.certificates import Authority
from tests.deploy.rendered import K8S, Document, Node, Pod, of_kind, render, running
from tests.deploy.test_first_secrets import made, mounted

SITE = "https://songs.example.com"
# What production has and a base has not; without GPUs, which this machine has not.
VALUES = f"ENVIRONMENT=production\nAUTH=accounts\nPUBLIC_URL={SITE}\n"
# A person who waits for a test does not wait for a drain.
QUICKLY = {f"{name}_DRAIN_DELAY_S": "0" for name in ("GATEWAY", "LYRICS", "MUSIC", "SIGNER")}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """The base with mTLS; kustomize reads nothing outside, so a copy of the tree is built on."""
    tree = tmp_path_factory.mktemp("render")
    shutil.copytree(K8S, tree / "k8s")
    overlay = tree / "k8s" / "overlays" / "tried"
    shutil.copytree(K8S / "overlays" / "staging" / "values", overlay / "values")
    (overlay / "values" / "values.env").write_text(VALUES)
    (overlay / "kustomization.yaml").write_text(
        "resources: [../../base]\ncomponents: [values, ../../components/mtls]\n"
    )
    return render(overlay)


class Certificates:
    """Issues what the Certificates ask for, and `localhost` besides, which is where this test's pods are."""

    def __init__(self, documents: list[Document], folder: Path) -> None:
        self._authority = Authority(folder / "authority")
        self._asked = of_kind(documents, "Certificate")
        self._folder = folder

    def issue(self, name: str) -> TlsFiles:
        spec = self._asked[name]["spec"]
        names = [*spec.get("dnsNames", ()), "localhost"] if "dnsNames" in spec else []
        sans = (
            *map(x509.DNSName, names),
            *map(x509.UniformResourceIdentifier, spec.get("uris", ())),
        )
        return self._authority.issue(name, sans=sans)

    def mount(self, name: str) -> Path:
        """A folder as cert-manager's Secret is mounted."""
        files, folder = self.issue(name), self._folder / f"{name}-tls"
        folder.mkdir(exist_ok=True)
        for file, mounted_as in zip(files, ("tls.crt", "tls.key", "ca.crt"), strict=True):
            shutil.copy(file, folder / mounted_as)
        return folder


@pytest.fixture
def certificates(documents: list[Document], tmp_path: Path) -> Certificates:
    return Certificates(documents, tmp_path)


@pytest.fixture
def node(
    documents: list[Document],
    certificates: Certificates,
    tmp_path: Path,
    database: Database,
    anvil: Chain,
    song_nft: Deployment,
) -> Node:
    content = made(tmp_path / "installation", "--chain-rpc-url", anvil.rpc_url)
    content["gateway"]["gateway_database_url"] = database.gateway_dsn
    content["signer"]["signer_database_url"] = database.signer_dsn
    permit = ensure_keystore(tmp_path / "installation", "permit").address
    grant_roles(anvil.rpc_url, song_nft.admin, song_nft.address, {"EIP712_SIGNER_ROLE": [permit]})
    mounts = {name: mounted(tmp_path / f"mounted-{name}", data) for name, data in content.items()}
    mounts |= {f"{name}-tls": certificates.mount(name) for name in ("gateway", "lyrics", "music", "signer")}
    changes = {
        **QUICKLY,
        "GATEWAY_OBJECTS_URL": (tmp_path / "objects").as_uri(),
        "GATEWAY_CONTRACT": song_nft.address,
        "SIGNER_CONTRACT": song_nft.address,
    }
    return Node(documents, tmp_path, mounts, changes)


class Operator:
    """`python -m services.signer.operate`, as the operator's pod runs it."""

    def __init__(self, tls: Path, signing: Pod) -> None:
        self._command = [sys.executable, "-m", "services.signer.operate", "--tls", str(tls)]
        self._command += ["--target", f"localhost:{signing.ports[50053]}"]

    def run(self, *words: str) -> list[dict[str, object]]:
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def fail(self, *arguments: str, words: str) -> None:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert words in done.stderr


def channel(certificates: Certificates, name: str, pod: Pod, port: int) -> grpc.Channel:
    """As a caller with the certificate of `name`."""
    certificate, key, ca = (file.read_bytes() for file in certificates.issue(name))
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.secure_channel(f"localhost:{pod.ports[port]}", credentials)


async def test_a_song_is_made_and_permitted_and_nobody_calls_whom_he_may_not(
    documents: list[Document], node: Node, certificates: Certificates
) -> None:
    lyrics, music, signing, gateway = (node.pod(name) for name in ("lyrics", "music", "signer", "gateway"))
    waiting = node.deployments["gateway"]["spec"]["template"]["spec"]["initContainers"][0]
    migrating = of_kind(documents, "Job")["gateway-migrate"]["spec"]["template"]["spec"]["containers"][0]
    assert gateway.init(migrating).returncode == 0
    assert gateway.init(waiting).returncode == 0
    with running(lyrics, music, signing, gateway):
        assert all(pod.passes("livenessProbe") for pod in (lyrics, music, signing, gateway))
        await _make_and_save(f"{LOOPBACK}:{gateway.ports[50050]}")

        with channel(certificates, "lyrics", signing, 50053) as stranger:
            stub = signer_service_pb2_grpc.SignerServiceStub(stranger)
            with pytest.raises(grpc.RpcError) as refused:
                stub.SignMintPermit(signer_service_pb2.SignMintPermitRequest(), timeout=5)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        operator = Operator(certificates.mount("operator"), signing)
        assert [line["verdict"] for line in operator.run("permits")] == ["VERDICT_PERMITTED"]
        operator.run("pause", "a drill")
        with pytest.raises(AcestepsError) as paused:
            await _make_and_save(f"{LOOPBACK}:{gateway.ports[50050]}")
        assert paused.value.reason == "PAUSED"
        assert operator.run("permits", "--verdict", "refused", "--hours", "1")[0]["reason"] == "PAUSED"
        assert operator.run("resume") == [{"was_paused": True}]
        operator.fail("pause", "", words="REQUIRED: reason")
        with channel(certificates, "operator", music, 50052) as operator:
            with pytest.raises(grpc.RpcError) as refused:
                music_service_pb2_grpc.MusicServiceStub(operator).DescribeEngine(
                    music_service_pb2.DescribeEngineRequest(), timeout=5
                )
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with grpc.insecure_channel(f"localhost:{lyrics.ports[50051]}") as plain:
            with pytest.raises(grpc.RpcError) as refused:
                lyrics_service_pb2_grpc.LyricsServiceStub(plain).ReviewLyrics(
                    lyrics_service_pb2.ReviewLyricsRequest(), timeout=5
                )
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert [pod.process.returncode for pod in (lyrics, music, signing, gateway) if pod.process] == [0] * 4


async def _make_and_save(target: str) -> None:
    wallet = Account.create()
    async with AsyncClient(target) as artist:
        await artist.sign_in(*signer(wallet))
        song = await artist.make("calm piano, 90 BPM", duration_s=5)
        saved = await artist.save(song.id)
        order = await artist.mint_order(song.id)
    assert song.creator_address == wallet.address
    assert saved.song.save.metadata_uri.startswith("ipfs://")
    assert int(order.token_id, 16) == int(song.audio.sha256, 16)


async def test_renewed_certificates_are_taken_without_a_restart(
    node: Node, certificates: Certificates
) -> None:
    lyrics = node.pod("lyrics")
    with running(lyrics):
        serial = _served_serial(lyrics)
        certificates.mount("lyrics")
        assert _served_serial(lyrics) != serial


def _served_serial(pod: Pod) -> int:
    pem = ssl.get_server_certificate((LOOPBACK, pod.ports[50051]))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def test_a_pod_that_was_given_no_certificate_does_not_start(node: Node) -> None:
    lyrics = node.pod("lyrics")
    for name in ("CERT", "KEY", "CA"):
        del lyrics.environment[f"LYRICS_TLS_{name}_FILE"]
    lyrics.start()
    assert lyrics.process is not None
    assert lyrics.process.wait(30) == 2
    assert "production needs tls_cert_file" in lyrics.log.read_text()


def test_a_gateway_does_not_start_on_a_schema_that_nobody_has_migrated(node: Node) -> None:
    gateway = node.pod("gateway")
    gateway.start()
    assert gateway.process is not None
    assert gateway.process.wait(30) == 2
    assert "0001_songs.sql is not applied; run python -m services.gateway.migrate" in gateway.log.read_text()
