"""Commands that bring a song to a chain: save, mint."""

from argparse import Namespace

from acesteps.cli.keys import account_of, is_given
from acesteps.cli.library import confirm
from acesteps.cli.screen import as_dict, when
from acesteps.cli.session import CommandFailed, Session
from acesteps.gateway.v1 import gateway_service_pb2 as pb


def save(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        saved = client.save(asked.song_id, permit_format=asked.permit)
    if session.screen.as_json:
        session.screen.data(saved)
        return
    session.screen.facts(
        [
            ("metadata", saved.song.save.metadata_uri),
            ("permit by", saved.permit.signer),
            ("good until", when(saved.permit.deadline)),
        ]
    )
    session.screen.note(f"mint it with: acesteps mint {saved.song.id}")


def mint(session: Session, asked: Namespace) -> None:
    """Shows the transaction or, with a chain and a key, signs and sends it."""
    key_given = is_given(asked)
    if bool(asked.rpc_url) != key_given:
        raise ValueError("to send the mint give --rpc-url with --private-key-file or --keystore")
    with session.client() as client:
        order = client.mint_order(asked.song_id)
    if key_given:
        _send(session, asked, order)
    elif session.screen.as_json:
        session.screen.data(order)
    else:
        session.screen.facts(
            [
                ("chain id", str(order.chain_id)),
                ("to", order.contract),
                ("data", order.calldata),
                ("value", "0"),
                ("token id", order.token_id),
                ("token goes to", order.creator),
                ("metadata", order.metadata_uri),
                ("good until", when(order.permit.deadline)),
            ]
        )


def _send(session: Session, asked: Namespace, order: pb.GetMintResponse) -> None:
    account = account_of(asked, "send the mint")
    from acesteps import wallet

    if not asked.yes:
        confirm(f"Mint for {order.creator} on chain {order.chain_id}, paid by {account.address}?")
    try:
        sent = wallet.send(order, asked.rpc_url, account)
    except wallet.MintFailed as error:
        raise CommandFailed(str(error)) from error
    told = {"transaction": sent.transaction, "block": sent.block, "gas_used": sent.gas_used}
    if session.screen.as_json:
        session.screen.data({**told, "order": as_dict(order)})
    else:
        session.screen.facts([(name, str(value)) for name, value in told.items()])
