"""Commands that bring a song to a chain: save, mint."""

from argparse import Namespace
from getpass import getpass
from pathlib import Path

from acesteps.cli.library import confirm
from acesteps.cli.screen import as_dict, when
from acesteps.cli.session import CommandFailed, Session, text_of
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
    key_given = bool(asked.private_key_file or asked.keystore)
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
    try:
        from acesteps import wallet
    except ImportError:
        raise CommandFailed("to send the mint install what it needs: pip install 'acesteps[mint]'") from None
    if asked.private_key_file:
        account = wallet.account_from(text_of(asked.private_key_file))
    else:
        given = text_of(asked.password_file).rstrip("\r\n") if asked.password_file else None
        password = getpass("Password of the keystore: ") if given is None else given
        account = wallet.account_from_keystore(Path(asked.keystore), password)
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
