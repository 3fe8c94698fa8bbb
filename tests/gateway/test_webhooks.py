"""Webhooks as their receivers see them: a real server is called, signed, until it takes the event."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web

from acesteps.gateway.v1 import gateway_service_pb2 as gateway_pb
from acesteps.gateway.v1 import webhook_service_pb2 as pb
from acesteps.gateway.v1.account_service_pb2_grpc import AccountServiceStub
from acesteps.gateway.v1.webhook_service_pb2_grpc import WebhookServiceStub
from deploy.local.ports import free_ports
from deploy.local.postgres import Database
from services.common.channels import open_channel
from services.common.errors import ResourceExhausted
from services.common.settings import ServiceSettings
from tests.gateway.mesh import CALL_S, Gateway, Mesh, eventually, made, mesh, problem_of
from tests.gateway.pods import Script
from tests.gateway.wallets import SITE, Wallet, bearer, refusal, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = ["SONG_STARTED", "SONG_SUCCEEDED", "SONG_FAILED", "SONG_CANCELLED", "SONG_SAVED"]


@dataclass
class Receiver:
    """A server of an account's own. Answers as it is told, and keeps what came."""

    port: int
    # of the next calls; then 200
    answers: list[int] = field(default_factory=list)
    # set: answers wait
    slow: asyncio.Event | None = None
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.came.append(({k.lower(): v for k, v in request.headers.items()}, body))
        if self.slow is not None:
            await self.slow.wait()
        status = self.answers.pop(0) if self.answers else 200
        headers = {"Location": self.url} if 300 <= status < 400 else {}
        return web.Response(status=status, text="x" * 10_000, headers=headers)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.came]

    async def until(self, number: int, within_s: float = 10.0) -> None:
        async def so_many() -> bool:
            return len(self.came) >= number

        await eventually(so_many, within_s)


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    (port,) = free_ports(1)
    receiver, app = Receiver(port), web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield receiver
    if receiver.slow is not None:
        receiver.slow.set()
    await runner.cleanup()


# Every replica of this module sends alike: whichever finds an event first.
SETTINGS = {"webhooks_anywhere": True, "webhook_pause_s": 0.05, "webhook_key": "k" * 32}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hook_pods(
    new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mesh]:
    async with mesh(new_database(), tmp_path_factory.mktemp("webhooks")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hooked(hook_pods: Mesh) -> Gateway:
    return await hook_pods.open(**SETTINGS)


@pytest_asyncio.fixture(loop_scope="module")
async def hooks(hooked: Gateway) -> AsyncIterator[Any]:
    """The service, without a webhook."""
    async with open_channel(f"127.0.0.1:{hooked.settings.grpc_port}", ServiceSettings()) as channel:
        stub = WebhookServiceStub(channel)
        yield stub
        for webhook in (await stub.ListWebhooks(pb.ListWebhooksRequest(), timeout=CALL_S)).webhooks:
            await stub.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=webhook.id), timeout=CALL_S)


async def added(hooks: Any, receiver: Receiver, *events: str) -> pb.CreateWebhookResponse:
    wanted = [f"EVENT_TYPE_{event}" for event in events or EVENTS]
    request = pb.CreateWebhookRequest(url=receiver.url, events=wanted)
    return await hooks.CreateWebhook(request, timeout=CALL_S)


def signed_by(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver checks it, by the words of the documentation."""
    parts = [part.split("=", 1) for part in headers["acesteps-signature"].split(",")]
    moment = next(value for name, value in parts if name == "t")
    assert abs(time.time() - int(moment)) < 300
    expected = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(expected, value) for name, value in parts if name == "v1")


async def deliveries(hooks: Any, webhook_id: str) -> list[pb.Delivery]:
    request = pb.ListDeliveriesRequest(webhook_id=webhook_id, page_size=100)
    return list((await hooks.ListDeliveries(request, timeout=CALL_S)).deliveries)


async def test_a_songs_way_is_told_in_order_and_signed(
    hooks: Any, hooked: Gateway, receiver: Receiver
) -> None:
    webhook = await added(hooks, receiver)
    song, _ = await made(hooked, title="Rain")
    await receiver.until(2)
    assert [e["type"] for e in receiver.events] == ["EVENT_TYPE_SONG_STARTED", "EVENT_TYPE_SONG_SUCCEEDED"]
    assert {e["song"]["id"] for e in receiver.events} == {song.id}
    assert receiver.events[1]["song"]["audio"]["sha256"] == song.audio.sha256
    for headers, body in receiver.came:
        assert signed_by(webhook.secret, headers, body)
        assert not signed_by("whsec_other", headers, body)
        assert headers["acesteps-event-id"] == json.loads(body)["id"]

    async def written_down() -> bool:
        return [d.state for d in await deliveries(hooks, webhook.webhook.id)] == [
            pb.DELIVERY_STATE_DELIVERED
        ] * 2

    await eventually(written_down)


async def test_only_what_was_asked_for_is_told(
    hooks: Any, hooked: Gateway, receiver: Receiver, hook_pods: Mesh
) -> None:
    await added(hooks, receiver, "SONG_FAILED", "SONG_CANCELLED")
    await made(hooked)
    hook_pods.music.follow(Script(error=ResourceExhausted("OUT_OF_MEMORY", "too long")))
    failed = await hooked.ended((await hooked.create()).id)
    hook_pods.music.follow(Script(pause_after=1))
    cancelled = await hooked.create()
    await hooked.grpc.CancelSong(gateway_pb.CancelSongRequest(song_id=cancelled.id), timeout=CALL_S)
    await receiver.until(2)
    told = [(e["type"], e["song"]["id"]) for e in receiver.events]
    assert told == [("EVENT_TYPE_SONG_FAILED", failed.id), ("EVENT_TYPE_SONG_CANCELLED", cancelled.id)]
    assert receiver.events[0]["song"]["failure"]["reason"] == "OUT_OF_MEMORY"


async def test_what_is_not_taken_is_sent_again_with_the_same_id(
    hooks: Any, hooked: Gateway, receiver: Receiver
) -> None:
    webhook = await added(hooks, receiver, "SONG_SUCCEEDED")
    receiver.answers = [500, 302, 429]
    await made(hooked)
    await receiver.until(4)
    assert len({e["id"] for e in receiver.events}) == 1

    async def delivered() -> bool:
        (delivery,) = await deliveries(hooks, webhook.webhook.id)
        return (delivery.state, delivery.attempts, delivery.status) == (pb.DELIVERY_STATE_DELIVERED, 4, 200)

    await eventually(delivered)


async def test_what_is_never_taken_is_given_up_and_can_be_sent_once_more(
    hooks: Any, hooked: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.webhooks.delivering.PAUSES", (1, 1))
    webhook = await added(hooks, receiver, "SONG_SUCCEEDED")
    receiver.answers = [503] * 3
    await made(hooked)

    async def given_up() -> bool:
        return [d.state for d in await deliveries(hooks, webhook.webhook.id)] == [pb.DELIVERY_STATE_FAILED]

    await eventually(given_up)
    (delivery,) = await deliveries(hooks, webhook.webhook.id)
    assert (delivery.attempts, delivery.status, delivery.error) == (3, 503, "answered 503")
    await hooks.Redeliver(pb.RedeliverRequest(delivery_id=delivery.id), timeout=CALL_S)
    await receiver.until(4)


async def test_a_slow_receiver_holds_up_nobody_else(
    hooks: Any, hooked: Gateway, receiver: Receiver, unused_receiver: Callable[[], Any]
) -> None:
    slow = await unused_receiver()
    slow.slow = asyncio.Event()
    await added(hooks, slow, "SONG_SUCCEEDED")
    await added(hooks, receiver, "SONG_SUCCEEDED")
    for _ in range(4):
        await made(hooked)
    await receiver.until(4)
    assert len(slow.came) == 1  # one at a time, in order
    slow.slow.set()
    await slow.until(4)


@pytest_asyncio.fixture(loop_scope="module")
async def unused_receiver() -> AsyncIterator[Callable[[], Any]]:
    runners = []

    async def make() -> Receiver:
        (port,) = free_ports(1)
        made_, app = Receiver(port), web.Application()
        app.router.add_post("/hook", made_.take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        runners.append(runner)
        return made_

    yield make
    for runner in runners:
        await runner.cleanup()


async def test_after_a_rotation_both_secrets_count(hooks: Any, hooked: Gateway, receiver: Receiver) -> None:
    webhook = await added(hooks, receiver, "SONG_SUCCEEDED")
    request = pb.RotateWebhookSecretRequest(webhook_id=webhook.webhook.id)
    newer = (await hooks.RotateWebhookSecret(request, timeout=CALL_S)).secret
    assert newer != webhook.secret
    await made(hooked)
    await receiver.until(1)
    ((headers, body),) = receiver.came
    assert signed_by(webhook.secret, headers, body)
    assert signed_by(newer, headers, body)


async def test_a_ping_says_at_once_what_came_of_it(hooks: Any, receiver: Receiver) -> None:
    webhook = await added(hooks, receiver, "SONG_SUCCEEDED")
    ping = pb.PingWebhookRequest(webhook_id=webhook.webhook.id)
    answer = await hooks.PingWebhook(ping, timeout=CALL_S)
    assert (answer.delivery.state, answer.delivery.status) == (pb.DELIVERY_STATE_DELIVERED, 200)
    assert receiver.events[0]["type"] == "EVENT_TYPE_PING"
    receiver.answers = [404]
    answer = await hooks.PingWebhook(ping, timeout=CALL_S)
    assert (answer.delivery.state, answer.delivery.status) == (pb.DELIVERY_STATE_FAILED, 404)
    away = pb.UpdateWebhookRequest(webhook_id=webhook.webhook.id, url="http://127.0.0.1:9/")
    await hooks.UpdateWebhook(away, timeout=CALL_S)
    answer = await hooks.PingWebhook(ping, timeout=CALL_S)
    assert (answer.delivery.state, answer.delivery.status) == (pb.DELIVERY_STATE_FAILED, 0)
    assert answer.delivery.error


async def test_one_that_is_switched_off_is_told_nothing(
    hooks: Any, hooked: Gateway, receiver: Receiver
) -> None:
    webhook = await added(hooks, receiver, "SONG_SUCCEEDED")
    off = pb.UpdateWebhookRequest(webhook_id=webhook.webhook.id, enabled=False)
    await hooks.UpdateWebhook(off, timeout=CALL_S)
    await made(hooked)
    assert await deliveries(hooks, webhook.webhook.id) == []
    assert receiver.came == []


async def test_a_deleted_song_is_told_by_its_id_only(hooks: Any, hooked: Gateway, receiver: Receiver) -> None:
    receiver.slow = asyncio.Event()
    await added(hooks, receiver, "SONG_STARTED", "SONG_SUCCEEDED")
    song, _ = await made(hooked, title="Secret")
    await hooked.grpc.DeleteSong(gateway_pb.DeleteSongRequest(song_id=song.id), timeout=CALL_S)
    receiver.slow.set()
    await receiver.until(2)
    assert receiver.events[1]["song"] == {"id": song.id}


async def test_an_event_whose_sender_died_is_sent_by_another(
    hooks: Any, hooked: Gateway, receiver: Receiver, hook_pods: Mesh
) -> None:
    webhook = await added(hooks, receiver, "SONG_SUCCEEDED")
    connection = await asyncpg.connect(hook_pods.environment["database_url"])
    # as a replica leaves it that was killed while it sent
    await connection.execute(
        "INSERT INTO gateway.webhook_deliveries (webhook_id, event, song_id, attempts, leased_until)"
        " VALUES ($1::text::uuid, 'SONG_SUCCEEDED', $2, 1, now() + interval '0.5 s')",
        webhook.webhook.id, uuid4(),
    )  # fmt: skip
    await connection.close()
    await made(hooked)  # something to look for
    await receiver.until(2)


async def test_a_mint_is_told_once_the_chain_has_confirmed_it(
    hooks: Any, hooked: Gateway, receiver: Receiver, hook_pods: Mesh
) -> None:
    await added(hooks, receiver, "SONG_MINTED")
    song, _ = await made(hooked)
    connection = await asyncpg.connect(hook_pods.environment["database_url"])
    for state in ("PENDING", "MINTED"):  # as the watcher of the chain writes it
        sql = "UPDATE gateway.songs SET mint_state = $2 WHERE id = $1::text::uuid"
        await connection.execute(sql, song.id, state)
    await connection.close()
    await receiver.until(1)
    (event,) = receiver.events
    assert (event["type"], event["song"]["id"]) == ("EVENT_TYPE_SONG_MINTED", song.id)


@pytest.mark.parametrize(
    ("fields", "reason", "name"),
    [
        ({"events": ["EVENT_TYPE_SONG_FAILED"]}, "REQUIRED", "url"),
        ({"url": "http://127.0.0.1/"}, "REQUIRED", "events"),
        ({"url": "http://127.0.0.1/", "events": ["EVENT_TYPE_PING"]}, "UNKNOWN_VALUE", "events[0]"),
        ({"url": "gopher://x/", "events": ["EVENT_TYPE_SONG_FAILED"]}, "MALFORMED", "url"),
    ],
)
async def test_a_webhook_out_of_its_limits_is_refused_by_field(
    hooked: Gateway, fields: Any, reason: str, name: str
) -> None:
    problem = problem_of(await hooked.http.post("/v1/webhooks", json=fields))
    assert (problem["reason"], problem["field"]) == (reason, name)


async def test_without_the_setting_only_global_https_is_called(shared: Gateway) -> None:
    events = ["EVENT_TYPE_SONG_FAILED"]
    for url in (
        "http://example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://169.254.169.254/x",
    ):
        answer = await shared.http.post("/v1/webhooks", json={"url": url, "events": events})
        assert (answer.status_code, problem_of(answer)["field"]) == (400, "url"), url


async def test_an_account_has_so_many_webhooks_and_rest_does_all_of_it(
    hooks: Any, hooked: Gateway, receiver: Receiver
) -> None:
    wanted = {"url": receiver.url, "events": ["EVENT_TYPE_SONG_FAILED"]}
    ids = []
    for _ in range(10):
        answer = await hooked.http.post("/v1/webhooks", json=wanted)
        assert answer.status_code == 201
        assert answer.json()["secret"].startswith("whsec_")
        ids.append(answer.json()["webhook"]["id"])
    assert problem_of(await hooked.http.post("/v1/webhooks", json=wanted))["reason"] == "TOO_MANY"
    listed = (await hooked.http.get("/v1/webhooks")).json()["webhooks"]
    assert [w["id"] for w in listed] == ids
    assert "secret" not in str(listed)
    path = f"/v1/webhooks/{ids[0]}"
    assert (await hooked.http.patch(path, json={"enabled": False})).json()["webhook"]["enabled"] is False
    assert (await hooked.http.post(f"{path}:rotate-secret")).status_code == 200
    assert (await hooked.http.post(f"{path}:ping")).json()["delivery"]["status"] == 200
    (delivery,) = (await hooked.http.get(f"{path}/deliveries")).json()["deliveries"]
    again = await hooked.http.post(f"/v1/webhook-deliveries/{delivery['id']}:redeliver")
    assert again.status_code == 200
    assert (await hooked.http.delete(path)).status_code == 204
    assert (await hooked.http.get(f"{path}/deliveries")).status_code == 404


async def test_a_stranger_sees_and_touches_no_webhook(
    hooks: Any, receiver: Receiver, hook_pods: Mesh
) -> None:
    webhook = (await added(hooks, receiver)).webhook
    locked = await hook_pods.open(**SETTINGS, auth="accounts", site_url=SITE)
    async with open_channel(f"127.0.0.1:{locked.settings.grpc_port}", ServiceSettings()) as channel:
        session = bearer((await signed_in(AccountServiceStub(channel), Wallet())).session_token)
        strange = WebhookServiceStub(channel)
        listed = await strange.ListWebhooks(pb.ListWebhooksRequest(), timeout=CALL_S, metadata=session)
        assert not listed.webhooks
        for rpc, request in (
            ("UpdateWebhook", pb.UpdateWebhookRequest(webhook_id=webhook.id, enabled=False)),
            ("RotateWebhookSecret", pb.RotateWebhookSecretRequest(webhook_id=webhook.id)),
            ("ListDeliveries", pb.ListDeliveriesRequest(webhook_id=webhook.id)),
            ("PingWebhook", pb.PingWebhookRequest(webhook_id=webhook.id)),
        ):
            error = await refusal(getattr(strange, rpc)(request, timeout=CALL_S, metadata=session))
            assert error.reason == "WEBHOOK_NOT_FOUND", rpc
        delete = pb.DeleteWebhookRequest(webhook_id=webhook.id)
        await strange.DeleteWebhook(delete, timeout=CALL_S, metadata=session)
        left = (await hooks.ListWebhooks(pb.ListWebhooksRequest(), timeout=CALL_S)).webhooks
        assert [w.id for w in left] == [webhook.id]
