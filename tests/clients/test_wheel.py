"""The Python client as it is published: built, installed into an environment of its own, and used."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.clients.conftest import target_of
from tests.gateway.mesh import Gateway

SOURCE = Path(__file__).parents[2] / "clients" / "python"
USE = """\
import asyncio
from acesteps import AsyncClient, Client, Song, Variation
from acesteps.gateway.v1 import gateway_service_pb2 as pb

def make(client: Client) -> Song:
    return client.make("x", duration_s=5, source_song_id="y", edit=Variation(variance=0.5))

async def names(client: AsyncClient) -> list[str]:
    return [song.title async for song in client.list(states=["failed"])]

async def create(client: AsyncClient) -> str:
    return (await client.create("x")).song.id

asked: pb.GetSongRequest = pb.GetSongRequest(song_id="z")
"""
MISUSE = """\
from acesteps import Client

def make(client: Client) -> str:
    client.make("x", duration="five")
    client.download("x", "y", audio_format="ogg")
    return client.get("z")
"""


def build(folder: Path, kind: str, out: Path) -> Path:
    """The one file that building `kind` in `folder` gives."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)], cwd=folder, check=True
    )
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(SOURCE, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment's programs, in which the wheel is and nothing of this repository.

    What the wheel depends on is this environment's, so that no network is needed.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def clean(**more: str) -> dict[str, str]:
    return {"PATH": os.defpath, **more}


def test_the_wheel_holds_the_client_its_types_and_the_generated_modules(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for service in ("gateway", "lyrics", "music", "signer"):
        for suffix in ("pb2.py", "pb2.pyi", "pb2_grpc.py", "pb2_grpc.pyi"):
            assert f"acesteps/{service}/v1/{service}_service_{suffix}" in names
    assert {"acesteps/__init__.py", "acesteps/py.typed", "acesteps/sync/client.py"} <= names
    assert {name.split("/")[0] for name in names} == {"acesteps", "acesteps-0.1.0.dist-info"}


def test_the_source_distribution_builds_the_same_wheel_without_protos(wheel: Path, tmp_path: Path) -> None:
    packed = build(SOURCE, "sdist", tmp_path / "sdist")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.glob("acesteps-*")
    again = build(folder, "wheel", tmp_path / "wheel")
    first, second = zipfile.ZipFile(wheel), zipfile.ZipFile(again)
    assert sorted(first.namelist()) == sorted(second.namelist())
    for name in first.namelist():
        if not name.endswith("RECORD"):
            assert first.read(name) == second.read(name), name


async def test_an_installed_client_makes_a_song(installed: Path, gateway: Gateway, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(installed / "acesteps"), "make", "calm jazz hop", "--duration", "5", "--instrumental", "--json",
        cwd=tmp_path, env=clean(HOME=str(tmp_path), ACESTEPS_TARGET=target_of(gateway)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    answer = json.loads(out)
    assert hashlib.sha256((tmp_path / answer["path"]).read_bytes()).hexdigest() == answer["sha256"]


def test_an_installed_client_is_all_its_own(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys, acesteps, acesteps.cli.command, acesteps.wallet;"
        "import acesteps.gateway.v1.gateway_service_pb2 as pb;"
        "print(acesteps.__file__, pb.__file__, acesteps.Client, acesteps.AsyncClient);"
        "assert not {'services', 'deploy', 'clients'} & set(sys.modules)"
    )
    command = [str(installed / "python"), "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=clean(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(path.startswith(str(installed.parent)) for path in done.stdout.split()[:2])


def test_who_uses_it_wrongly_is_told_by_the_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "misuse.py").write_text(MISUSE)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed / "python")]
    done = subprocess.run(
        [*command, "use.py", "misuse.py"], cwd=tmp_path, env=clean(), capture_output=True, text=True
    )
    found = [line.partition(" error: ")[0] for line in done.stdout.splitlines() if " error: " in line]
    assert found == ["misuse.py:4:", "misuse.py:5:", "misuse.py:6:"], done.stdout
