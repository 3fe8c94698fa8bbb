"""Accounts, webhooks and operators' calls by both clients, and by commands, against a real gateway."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from acesteps import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from acesteps.gateway.v1 import webhook_service_pb2 as webhook_pb
from acesteps.wallet import signer
from tests.clients.conftest import Connect, Keyed, listed
from tests.clients.shell import Shell
from tests.gateway.mesh import Mesh

NOWHERE = "http://127.0.0.1:9/hook"


async def test_a_wallet_signs_in_and_has_keys_that_do_what_they_may(connect: Connect, keyed: Keyed) -> None:
    client, wallet = connect(keyed.target), Account.create()
    with pytest.raises(Unauthenticated):
        await client.account()
    session = await client.sign_in(*signer(wallet))
    account = await client.account()
    assert account.id == session.account.id
    assert [w.address for w in account.wallets] == [wallet.address]
    made = await client.create_api_key("reader", ["read"], expires_in_days=1)
    reader = connect(keyed.target, api_key=made.secret)
    assert (await reader.account()).id == account.id
    with pytest.raises(PermissionDenied) as refused:
        await reader.create("calm piano")
    assert refused.value.reason == "SCOPE_MISSING"
    assert [key.id for key in await client.api_keys()] == [made.api_key.id]
    await client.revoke_api_key(made.api_key.id)
    with pytest.raises(Unauthenticated):
        await reader.account()
    await client.sign_out()
    with pytest.raises(Unauthenticated):
        await client.account()


async def test_wallets_are_linked_and_the_default_moves(connect: Connect, keyed: Keyed) -> None:
    client, first, second = connect(keyed.target), Account.create(), Account.create()
    await client.sign_in(*signer(first))
    await client.link_wallet(*signer(second))
    account = await client.set_default_wallet(second.address)
    assert [(w.address, w.is_default) for w in account.wallets] == [
        (first.address, False), (second.address, True),
    ]  # fmt: skip
    # a wallet's going ends the sessions that it signed in to
    await client.sign_in(*signer(second))
    await client.unlink_wallet(first.address)
    with pytest.raises(FailedPrecondition) as refused:
        await client.unlink_wallet(second.address)
    assert refused.value.reason == "LAST_WALLET"


async def test_an_account_is_exported_and_deleted(connect: Connect, keyed: Keyed) -> None:
    client, wallet = connect(keyed.target), Account.create()
    session = await client.sign_in(*signer(wallet))
    song = (await client.create("calm piano", instrumental=True, duration_s=5)).song
    document = json.loads(b"".join(await listed(client.export())))
    assert [entry["song"]["id"] for entry in document["songs"]] == [song.id]
    with pytest.raises(InvalidArgument) as refused:
        await client.delete_account("yes")
    assert refused.value.field == "confirm"
    await client.delete_account(session.account.id)
    with pytest.raises(Unauthenticated):
        await client.account()


async def test_webhooks_are_added_tried_and_removed(connect: Connect, pods: Mesh) -> None:
    gateway = await pods.open(webhooks_anywhere=True)
    client = connect(f"127.0.0.1:{gateway.settings.grpc_port}")
    made = await client.create_webhook(NOWHERE, ["succeeded", "minted"])
    assert made.secret.startswith("whsec_")
    assert [w.id for w in await client.webhooks()] == [made.webhook.id]
    delivery = await client.ping_webhook(made.webhook.id)
    assert (delivery.state, delivery.status) == (webhook_pb.DELIVERY_STATE_FAILED, 0)
    assert [d.id for d in await listed(client.deliveries(made.webhook.id))] == [delivery.id]
    assert (await client.redeliver(delivery.id)).state == webhook_pb.DELIVERY_STATE_WAITING
    off = await client.update_webhook(made.webhook.id, enabled=False, events=["failed"])
    assert (off.enabled, list(off.events)) == (False, [webhook_pb.EVENT_TYPE_SONG_FAILED])
    assert await client.rotate_webhook_secret(made.webhook.id) != made.secret
    await client.delete_webhook(made.webhook.id)
    with pytest.raises(NotFound):
        await client.ping_webhook(made.webhook.id)


async def test_operators_and_anyone_ask_about_the_platform(
    connect: Connect, pods: Mesh, keyed: Keyed
) -> None:
    anyone = connect(keyed.target)
    known = await anyone.capabilities()
    assert "piano" in [name.lower() for name in known.instruments]
    await anyone.sign_in(*signer(Account.create()))
    with pytest.raises(PermissionDenied) as refused:
        await listed(anyone.failed_songs())
    assert refused.value.reason == "NOT_AN_OPERATOR"
    development = await pods.open()
    operator = connect(f"127.0.0.1:{development.settings.grpc_port}")
    assert await listed(operator.failed_songs()) == []
    with pytest.raises(NotFound):
        await operator.requeue_song("nonsense")


async def test_a_wallets_key_logs_this_machine_in(keyed: Keyed, tmp_path: Path) -> None:
    shell, wallet = Shell(tmp_path, keyed.target), Account.create()
    key = tmp_path / "wallet.key"
    key.write_text(wallet.key.hex())
    status, _, err = await shell.run("login", keyed.target, "--private-key-file", str(key))
    assert status == 0, err
    del shell.environment["ACESTEPS_TARGET"]
    account = await shell.ask("account")
    assert account["wallets"][0]["address"] == wallet.address
    status, out, _ = await shell.run("account")
    assert wallet.address in out
    assert "of 50" in out
    # a key does not export; the wallet does
    status, _, err = await shell.run("export")
    assert (status, "SESSION_REQUIRED" in err) == (4, True)
    file = tmp_path / "mine.json"
    status, _, err = await shell.run("export", "-o", str(file), "--private-key-file", str(key))
    assert status == 0, err
    assert json.loads(file.read_text())["account"]["id"] == account["id"]


async def test_webhooks_by_command(pods: Mesh, tmp_path: Path) -> None:
    gateway = await pods.open(webhooks_anywhere=True)
    shell = Shell(tmp_path, f"127.0.0.1:{gateway.settings.grpc_port}")
    made = await shell.ask("webhook-add", NOWHERE, "--event", "succeeded")
    status, out, _ = await shell.run("webhook-list")
    assert (status, made["webhook"]["id"] in out) == (0, True)
    status, out, _ = await shell.run("webhook-ping", made["webhook"]["id"])
    assert status == 1
    assert "failed" in out
    status, out, _ = await shell.run("webhook-log", made["webhook"]["id"])
    assert (status, "ping: failed" in out) == (0, True)
    assert (await shell.run("webhook-remove", made["webhook"]["id"]))[0] == 0
    assert (await shell.run("webhook-list"))[1] == ""


async def test_capabilities_by_command(pods: Mesh, tmp_path: Path) -> None:
    gateway = await pods.open()
    shell = Shell(tmp_path, f"127.0.0.1:{gateway.settings.grpc_port}")
    status, out, err = await shell.run("capabilities")
    assert status == 0, err
    found: Any = json.loads(out)
    assert found["genres"]
