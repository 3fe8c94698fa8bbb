"""Commands about who is calling: login, logout."""

import sys
from argparse import Namespace
from dataclasses import replace
from getpass import getpass
from itertools import islice
from socket import gethostname

from acesteps.cli.keys import account_of, is_given
from acesteps.cli.profile import Profile, profile_file, store_profile
from acesteps.cli.session import Session, text_of
from acesteps.orders import SCOPES


def login(session: Session, asked: Namespace) -> None:
    """Asks the gateway before it stores anything. With a wallet's key an API key is made for this machine."""
    if is_given(asked):
        api_key = _key_for_this_machine(session, asked)
    elif asked.api_key_file:
        api_key = text_of(asked.api_key_file).strip()
    elif sys.stdin.isatty():
        api_key = getpass("API key (empty for a gateway that asks for none): ").strip()
    else:
        api_key = ""
    profile = Profile(asked.address, api_key, asked.tls, asked.ca_file)
    with replace(session, profile=profile).client() as client:
        list(islice(client.list(page_size=1), 1))
    path = store_profile(profile)
    if session.screen.as_json:
        session.screen.data({"target": profile.target, "profile": str(path)})
    else:
        session.screen.line(f"{profile.target} is kept in {path}")


def _key_for_this_machine(session: Session, asked: Namespace) -> str:
    account = account_of(asked, "sign in with a wallet")
    from acesteps.wallet import signer

    profile = Profile(asked.address, "", asked.tls, asked.ca_file)
    with replace(session, profile=profile).client() as client:
        client.sign_in(*signer(account))
        made = client.create_api_key(f"acesteps on {gethostname()}"[:80], SCOPES)
        client.sign_out()
    return made.secret


def logout(session: Session, asked: Namespace) -> None:
    path = profile_file()
    path.unlink(missing_ok=True)
    if session.screen.as_json:
        session.screen.data({"removed": str(path)})
    else:
        session.screen.line(f"{path} is removed")
