"""Commands about the account: what it is, what it may take along, its webhooks, what the platform can do."""

import sys
from argparse import Namespace

from acesteps.cli.keys import account_of, is_given
from acesteps.cli.screen import when
from acesteps.cli.session import CommandFailed, Session
from acesteps.gateway.v1 import webhook_service_pb2 as pb


def account(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        found = client.account()
    if session.screen.as_json:
        session.screen.data(found)
        return
    limits = found.limits
    left = f"{limits.songs_left} of {limits.songs_per_day}" if limits.songs_per_day else "any number"
    session.screen.facts(
        [
            ("account", found.id),
            ("tier", found.tier),
            ("songs today", left),
            ("longest song", f"{limits.max_duration_s:g} s"),
            *(("wallet", w.address + (" (default)" if w.is_default else "")) for w in found.wallets),
        ]
    )


def capabilities(session: Session, asked: Namespace) -> None:
    """As JSON, whoever asks: it is a long list."""
    with session.client() as client:
        session.screen.data(client.capabilities())


def webhook_add(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        made = client.create_webhook(asked.url, asked.event)
    if session.screen.as_json:
        session.screen.data(made)
        return
    session.screen.facts([("webhook", made.webhook.id), ("secret", made.secret)])
    session.screen.note("the secret is not shown again")


def webhook_list(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        for webhook in client.webhooks():
            if session.screen.as_json:
                session.screen.data(webhook)
            else:
                state = "" if webhook.enabled else "  (off)"
                session.screen.line(f"{webhook.id}  {webhook.url}{state}")


def webhook_remove(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        client.delete_webhook(asked.webhook_id)
    if not session.screen.as_json:
        session.screen.line(f"{asked.webhook_id} is removed")


def webhook_ping(session: Session, asked: Namespace) -> None:
    """Ends with status 1 where it was not taken."""
    with session.client() as client:
        delivery = client.ping_webhook(asked.webhook_id)
    if session.screen.as_json:
        session.screen.data(delivery)
    else:
        session.screen.line(_came_of(delivery))
    if delivery.state != pb.DELIVERY_STATE_DELIVERED:
        raise CommandFailed("the webhook did not take it")


def webhook_log(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        for delivery in client.deliveries(asked.webhook_id):
            if session.screen.as_json:
                session.screen.data(delivery)
            else:
                session.screen.line(f"{when(delivery.create_time)}  {_came_of(delivery)}")


def _came_of(delivery: pb.Delivery) -> str:
    event = pb.EventType.Name(delivery.event).removeprefix("EVENT_TYPE_").lower()
    state = pb.DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_").lower()
    return f"{event}: {state} ({delivery.status or delivery.error}, {delivery.attempts} tries)"


def export(session: Session, asked: Namespace) -> None:
    """To a file, or to stdout."""
    with session.client() as client:
        if is_given(asked):
            account = account_of(asked, "sign in with a wallet")
            from acesteps.wallet import signer

            client.sign_in(*signer(account))
        out = open(asked.out, "wb") if asked.out else sys.stdout.buffer  # noqa: SIM115  # stdout stays open
        try:
            for piece in client.export():
                out.write(piece)
            out.flush()
        finally:
            if asked.out:
                out.close()
