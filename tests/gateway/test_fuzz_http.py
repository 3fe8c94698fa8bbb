"""Whatever comes over HTTP is answered in the form that the API's description promises: no defect, no hang.

schemathesis makes requests of it, valid and invalid; ids of real songs are put in, so that they get further.
"""

import asyncio
import random
import time
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from tests.gateway.mesh import CALL_S, CREATOR, Gateway, Mesh, made

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = 12
# Streams go on: this much of a body is read, for so long.
READ_BYTES, READ_S, ANSWER_S = 65_536, 1.0, 15.0
# What must be in no answer.
INSIDES = (b"Traceback", b"site-packages", b"asyncpg", b"pydantic_core", b'File "', b"services.gateway")


def bounded(case: Any, base_url: str) -> requests.Response:
    """The answer, of whose body so much is read as comes at once."""
    arguments = case.as_transport_kwargs(base_url=base_url)
    answer = requests.request(**arguments, timeout=ANSWER_S, stream=True)
    body, until = b"", time.monotonic() + READ_S
    if answer.headers.get("content-type", "").startswith(("text/event-stream", "audio/")):
        answer.raw.read(1)
    else:
        for piece in answer.iter_content(READ_BYTES):
            body += piece
            if time.monotonic() > until or len(body) > 20 * READ_BYTES:
                break
    answer._content = body
    answer.close()
    return answer


def must_be_well(case: Any, answer: requests.Response) -> None:
    told = (case.method, case.path, answer.status_code, answer.content[:300])
    assert answer.status_code < 500 or answer.status_code == 503, told
    assert not any(inside in answer.content for inside in INSIDES), told
    assert answer.headers["x-content-type-options"] == "nosniff", told
    assert "server" not in answer.headers, told
    if answer.status_code >= 400 and case.method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json", told
        document = answer.json()
        assert document["status"] == answer.status_code, told
        assert document["reason"], told
        if answer.status_code == 400:
            assert document["field"], told
            assert document["limit"], told


def fuzz(base_url: str, document: dict[str, Any], ids: dict[str, list[str]]) -> int:
    """Tries every operation; returns how many there were."""
    schema = schemathesis.openapi.from_dict(document)
    operations = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        operations += 1
        strategy = st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )

        @seed(7)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy, chance=st.randoms(use_true_random=False))
        def try_it(case: Any, chance: random.Random) -> None:
            for name, known in ids.items():
                if name in (case.path_parameters or {}) and chance.random() < 0.5:
                    case.path_parameters[name] = chance.choice(known)
            must_be_well(case, bounded(case, base_url))

        try_it()
    return operations


async def test_every_operation_takes_anything_and_answers_as_described(
    shared_pods: Mesh, shared: Gateway
) -> None:
    songs = [(await made(shared, creator_address=CREATOR))[0].id for _ in range(2)]
    batch = pb.CreateBatchRequest(
        prompts=["calm", "loud"], song=pb.CreateSongRequest(instrumental=True, duration_s=5)
    )
    made_batch = (await shared.grpc.CreateBatch(batch, timeout=CALL_S)).batch
    document = (await shared.http.get("/openapi.json")).json()
    base_url = f"http://127.0.0.1:{shared.settings.http_port}"
    ids = {"song_id": songs, "batch_id": [made_batch.id]}
    operations = await asyncio.to_thread(fuzz, base_url, document, ids)
    assert operations >= 35
    # and it still makes songs
    await made(shared)
