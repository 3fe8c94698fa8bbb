"""`python -m services.gateway.admin`: what operators do by hand, at the gateway's database.

Answers are lines of JSON. Exit status: 0 done, 1 there is no such thing, 2 the call or the database is wrong.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from services.common.settings import read_setting
from services.gateway.administration import Administration
from services.gateway.database import DatabaseUnavailable, open_database
from services.gateway.identity.credentials import SERVICE, kept, new_secret
from services.gateway.identity.identities import Identities
from services.gateway.shelf import Shelf
from services.gateway.tiers import DEFAULT_FILE, TiersError, read_tiers

LARGEST_LIST = 1000


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if not arguments.database_url:
        return _wrong("set GATEWAY_DATABASE_URL, or give --database-url")
    try:
        answers = asyncio.run(_run(arguments))
    except DatabaseUnavailable as error:
        return _wrong(error.message)
    except (TiersError, ValueError) as error:
        return _wrong(str(error))
    if answers is None:
        print("there is no such thing", file=sys.stderr)
        return 1
    for answer in answers:
        print(json.dumps(answer, default=str, ensure_ascii=False))
    return 0


def _wrong(line: str) -> int:
    print(f"admin: {line}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.gateway.admin", description=__doc__)
    parser.add_argument("--database-url", default=read_setting("GATEWAY_DATABASE_URL"), metavar="URL")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, *positional: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        for argument in positional:
            sub.add_argument(argument)
        return sub

    command("account", "show an account, by its id or one of its wallets", "who")
    tier = command("tier", "give an account another tier", "who", "tier")
    default = os.environ.get("GATEWAY_TIERS_FILE", "") or str(DEFAULT_FILE)
    tier.add_argument("--tiers-file", default=default, metavar="FILE")
    failed = command("failed", "list songs that failed for good, the latest first")
    failed.add_argument("--limit", type=int, default=20, metavar="N")
    command("requeue", "put a failed song into the queue again", "song")
    takedown = command("takedown", "withhold a song from everyone, its account included", "song")
    takedown.add_argument("--reason", required=True, help="the song's account is shown it")
    command("restore", "take a takedown back", "song")
    service = command("add-service", "make a credential for an internal service; it is shown once", "name")
    service.add_argument("--operator", action="store_true", help="may call what is for operators")
    command("revoke-service", "revoke it, at once", "name")
    return parser


async def _run(arguments: argparse.Namespace) -> list[dict[str, Any]] | None:
    """The lines to print; None: there is no such thing."""
    async with open_database(arguments.database_url, connections=1) as database:
        administration, shelf = Administration(database), Shelf(database)
        identities = Identities(database)
        match arguments.command:
            case "account" | "tier":
                account = await administration.account(arguments.who)
                if account is None:
                    return None
                if arguments.command == "tier":
                    known = read_tiers(Path(arguments.tiers_file)).by_name
                    if arguments.tier not in known:
                        raise ValueError(f"there is no tier {arguments.tier!r}; there are {', '.join(known)}")
                    await administration.set_tier(account.id, arguments.tier)
                    account = await administration.account(str(account.id))
                return None if account is None else [asdict(account)]
            case "failed":
                if not 1 <= arguments.limit <= LARGEST_LIST:
                    raise ValueError(f"--limit is 1 to {LARGEST_LIST}")
                return [asdict(song) for song in await shelf.failed(arguments.limit, None)]
            case "requeue":
                song = await shelf.requeue(UUID(arguments.song))
                return None if song is None else [asdict(song)]
            case "takedown":
                done = await administration.take_down(UUID(arguments.song), arguments.reason)
                return [{"song": arguments.song, "taken_down": True}] if done else None
            case "restore":
                done = await administration.restore(UUID(arguments.song))
                return [{"song": arguments.song, "taken_down": False}] if done else None
            case "add-service":
                secret = new_secret(SERVICE)
                operator = bool(arguments.operator)
                if not await identities.add_service(arguments.name, kept(secret), operator=operator):
                    raise ValueError(f"there is a service {arguments.name!r} already; revoke it first")
                return [{"name": arguments.name, "operator": operator, "secret": secret}]
            case _:
                done = await identities.revoke_service(arguments.name)
                return [{"name": arguments.name, "revoked": True}] if done else None


if __name__ == "__main__":
    sys.exit(main())
