"""Objects in a folder and in S3 (moto's server): whole or not there, read in parts, plain words when away."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import boto3
import httpx
import pytest

from deploy.local.postgres import Database as Server
from services.common.errors import Unavailable
from services.common.migrations import migrate
from services.gateway.database import MIGRATIONS, SCHEMA, Database, open_database
from services.gateway.objects import REQUEST_BYTES, ObjectMissing, Objects
from tests.gateway.mesh import Mesh, made, problem_of
from tests.gateway.object_writer import OBJECT_BYTES

BUCKET = "songs"
# As obstore and boto3 read them.
AWS = {
    "AWS_ACCESS_KEY_ID": "gateway",
    "AWS_SECRET_ACCESS_KEY": "of the gateway",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ALLOW_HTTP": "true",
}
KILLS = 6


@dataclass(frozen=True)
class S3:
    endpoint: str
    process: "subprocess.Popen[str]"

    @property
    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.endpoint)

    def stored(self) -> dict[str, bytes]:
        """What can be read, by key."""
        listed = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {
            entry["Key"]: self.client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
            for entry in listed
        }


@contextmanager
def serving() -> Iterator[S3]:
    command = [sys.executable, str(Path(__file__).with_name("s3_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield S3(f"http://127.0.0.1:{int(server.stdout.readline())}", server)
        finally:
            server.kill()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    with serving() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        server.client.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": AWS["AWS_REGION"]}
        )
        yield server


@pytest.fixture
async def rows(database: Server) -> AsyncIterator[Database]:
    await migrate(database.gateway_dsn, SCHEMA, MIGRATIONS)
    async with open_database(database.gateway_dsn, connections=4) as opened:
        yield opened


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return f"file://{tmp_path}"
    request.getfixturevalue("s3")
    return f"s3://{BUCKET}/of/acesteps"


async def test_what_was_put_is_read_back_whole_and_by_any_range(rows: Database, url: str) -> None:
    objects = Objects.open(url, rows, grace_s=60.0)
    draw = Random(1)
    data = draw.randbytes(2 * REQUEST_BYTES + 12_345)
    digest = hashlib.sha256(data).digest()
    key = await objects.put(data, digest)
    assert key.endswith(digest.hex())
    assert await objects.put(data, digest) == key
    assert await objects.size(key) == len(data)
    edges = [0, 1, REQUEST_BYTES - 1, REQUEST_BYTES, REQUEST_BYTES + 1, len(data) - 1, len(data)]
    ranges = [(a, b) for a in edges for b in edges] + [
        (draw.randrange(len(data)), draw.randrange(len(data))) for _ in range(20)
    ]
    for start, end in ranges:
        assert await objects.read_all(key, start, end) == data[start:end]


async def test_what_is_not_there_is_missing_and_goes_quietly(rows: Database, url: str) -> None:
    objects = Objects.open(url, rows, grace_s=60.0)
    with pytest.raises(ObjectMissing):
        await objects.read_all("sha256/00/00", 0, 10)
    with pytest.raises(ObjectMissing):
        await objects.size("sha256/00/00")
    await objects.remove("sha256/00/00")
    key = await objects.put(b"here", hashlib.sha256(b"here").digest())
    await objects.remove(key)
    with pytest.raises(ObjectMissing):
        await objects.read_all(key, 0, 4)


async def test_a_writer_that_is_killed_leaves_whole_objects_or_none(
    rows: Database, database: Server, tmp_path: Path
) -> None:
    draw = Random(2)
    for _ in range(KILLS):
        kill_while_writing(database.gateway_dsn, f"file://{tmp_path}", after_s=draw.uniform(0.02, 0.4))
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "#" not in path.name]
    assert files
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


async def test_a_writer_to_s3_that_is_killed_leaves_whole_objects_or_none(
    rows: Database, database: Server, s3: S3
) -> None:
    draw = Random(3)
    for _ in range(KILLS):
        kill_while_writing(database.gateway_dsn, f"s3://{BUCKET}", after_s=draw.uniform(0.05, 0.8))
    stored = await asyncio.to_thread(s3.stored)
    assert stored
    for key, data in stored.items():
        assert (len(data), hashlib.sha256(data).hexdigest()) == (OBJECT_BYTES, Path(key).name)
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=BUCKET)


def kill_while_writing(dsn: str, url: str, after_s: float) -> None:
    command = [sys.executable, str(Path(__file__).with_name("object_writer.py")), dsn, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        try:
            writer.wait(after_s)
        except subprocess.TimeoutExpired:
            writer.kill()
    assert writer.returncode == -9


async def test_a_song_is_made_heard_and_downloaded_through_s3(s3: S3, pods: Mesh) -> None:
    gateway = await pods.open(objects_url=f"s3://{BUCKET}/live")
    song, whole = await made(gateway)
    url = f"/v1/songs/{song.id}/audio"
    answer = await gateway.http.get(url)
    assert answer.content == whole
    part = await gateway.http.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert await gateway.audio(song.id, offset=1000) == whole[1000:]
    flac = await gateway.http.get(url, params={"format": "flac"})
    digests = {hashlib.sha256(data).hexdigest() for data in (whole, flac.content)}
    keys = await asyncio.to_thread(s3.stored)
    assert digests < {Path(key).name for key in keys}
    assert all(key.startswith("live/sha256/") for key in keys)


async def test_a_store_that_is_away_is_unavailable_to_listeners_and_writers(
    rows: Database, s3: S3, pods: Mesh
) -> None:
    gateway = await pods.open(objects_url=f"s3://{BUCKET}")
    song, _ = await made(gateway)
    objects = Objects.open(f"s3://{BUCKET}", rows, grace_s=60.0)
    s3.process.kill()
    with pytest.raises(Unavailable, match="OBJECTS_UNAVAILABLE: the object store cannot be written"):
        await objects.put(b"late", hashlib.sha256(b"late").digest())
    answer = await gateway.http.get(f"/v1/songs/{song.id}/audio", params={"format": "wav"})
    assert (answer.status_code, problem_of(answer)["reason"]) == (503, "OBJECTS_UNAVAILABLE")
    assert s3.endpoint not in answer.text


async def test_a_store_that_does_not_know_us_says_so(rows: Database, s3: S3) -> None:
    objects = Objects.open(f"s3://{BUCKET}", rows, grace_s=60.0)
    key = await objects.put(b"ours", hashlib.sha256(b"ours").digest())
    # From here on moto looks at who asks, and knows nobody.
    async with httpx.AsyncClient(base_url=s3.endpoint) as moto:
        (await moto.post("/moto-api/reset-auth", content=b"0")).raise_for_status()
    with pytest.raises(Unavailable, match="OBJECTS_REFUSED"):
        await objects.read_all(key, 0, 4)
    with pytest.raises(Unavailable, match="OBJECTS_REFUSED"):
        await objects.put(b"more", hashlib.sha256(b"more").digest())


async def test_a_bucket_that_does_not_exist_is_no_missing_song(rows: Database, s3: S3) -> None:
    objects = Objects.open("s3://nobodys", rows, grace_s=60.0)
    with pytest.raises(Unavailable, match="there is no such bucket"):
        await objects.put(b"lost", hashlib.sha256(b"lost").digest())
