"""The commands and their options.

Checks only what the gateway cannot: its own errors name field and limit.
"""

from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any, NoReturn

from acesteps import __version__
from acesteps.cli import account, library, login, making, minting, words
from acesteps.cli.keys import add_keys
from acesteps.orders import AUDIO_FORMATS, EVENTS, PERMIT_FORMATS, STATES, TIMELINE_FILES

DESCRIPTION = "Make songs from prompts with an AceSteps gateway, hear them, keep them, mint them."
EPILOG = """\
exit status:
  0    done
  1    refused, or nothing was done
  2    the command, one of its files or a field of the request is wrong
  3    there is no such song
  4    the API key is missing or may not do this
  5    the song has failed or was cancelled
  6    the gateway, or a part behind it, is away
  130  Ctrl-C; a song that was begun goes on

environment: ACESTEPS_TARGET, ACESTEPS_API_KEY and ACESTEPS_CA_FILE go before what `login` has stored.
"""


class UsageError(Exception):
    """What was typed cannot be read."""


class Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


def build_parser() -> Parser:
    every = Parser(add_help=False)
    every.add_argument("--json", action="store_true", help="answers as JSON, one document a line")
    every.add_argument("--target", default="", metavar="HOST:PORT", help="the gateway, for this command")
    every.add_argument(
        "--patience", type=float, default=60.0, metavar="S", help="seconds that the gateway may be away (60)"
    )
    parser = Parser(
        prog="acesteps",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)

    def command(name: str, run: Callable[..., None], text: str) -> Parser:
        added = commands.add_parser(name, parents=[every], help=text, description=text, allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    _add_account(command)
    _add_making(command)
    _add_library(command)
    _add_minting(command)
    _add_webhooks(command)
    return parser


def _add_account(command: Callable[..., Parser]) -> None:
    text = "keep a gateway's address and an API key, given or got with a wallet's key"
    one = command("login", login.login, text)
    one.add_argument("address", metavar="HOST:PORT", help="of the gateway's gRPC")
    one.add_argument("--api-key-file", default="", metavar="FILE", help="holds the key; - for stdin")
    one.add_argument("--ca-file", default="", metavar="PEM", help="authorities to trust, not the system's")
    one.add_argument(
        "--tls", action=BooleanOptionalAction, default=None, help="(default: unless it is this machine)"
    )
    add_keys(one)
    command("logout", login.logout, "forget what login keeps")
    command("account", account.account, "show the account, its wallets and what is left of today")
    one = command("export", account.export, "write all that is kept about the account, as JSON")
    one.add_argument("--out", "-o", default="", metavar="FILE", help="(stdout)")
    add_keys(one)
    command("capabilities", account.capabilities, "show what the platform can be asked for, as JSON")


def _add_webhooks(command: Callable[..., Parser]) -> None:
    one = command("webhook-add", account.webhook_add, "have a server of yours told what becomes of songs")
    one.add_argument("url")
    one.add_argument("--event", action="append", required=True, choices=list(EVENTS), help="(repeatable)")
    command("webhook-list", account.webhook_list, "list webhooks")
    for name, run, text in (
        ("webhook-remove", account.webhook_remove, "remove a webhook"),
        ("webhook-ping", account.webhook_ping, "send a webhook an event at once, and say what came of it"),
        ("webhook-log", account.webhook_log, "list what a webhook was sent, newest first"),
    ):
        command(name, run, text).add_argument("webhook_id", metavar="WEBHOOK_ID")


def _add_making(command: Callable[..., Parser]) -> None:
    one = command("lyrics", words.lyrics, "write words about a theme")
    one.add_argument("theme")
    for name in ("genre", "mood", "language"):
        one.add_argument(f"--{name}", default="")
    one.add_argument("--duration", type=float, default=0.0, metavar="S", help="of the song they are for")
    one.add_argument("--seed", type=int, help="the same seed gives the same words")

    one = command("review", words.review, "say whether a prompt, or words, may be made into a song")
    one.add_argument("prompt", nargs="?", default="")
    one.add_argument("--lyrics", default="", metavar="FILE", help="words instead; - for stdin")
    one.add_argument("--language", default="")

    one = command("make", making.make, "make a song; the MP3 is written while it is made")
    one.add_argument("prompt")
    one.add_argument("--duration", type=float, metavar="S", help="seconds, 5 to 240 (60)")
    one.add_argument("--lyrics", default="", metavar="FILE", help="your own words; - for stdin")
    one.add_argument("--language", default="", help="of the lyrics, such as en")
    one.add_argument("--instrumental", action="store_true", help="no voice")
    one.add_argument("--creator", default="", metavar="0x…", help="wallet that may mint the song")
    one.add_argument("--reveal-prompt", action="store_true", help="the prompt may be made public")
    _add_order(one)

    def edit(name: str, run: Callable[..., None], text: str) -> Parser:
        added = command(name, run, text)
        added.add_argument("song_id", metavar="SONG_ID")
        return added

    def finish(added: Parser) -> None:
        added.add_argument("--prompt", default="", help="another than the source's")
        _add_order(added)

    one = edit("vary", making.vary, "make a song again, near to it or far")
    one.add_argument("--variance", type=float, metavar="V", help="0 (the same) to 1 (far)")
    finish(one)
    one = edit("repaint", making.repaint, "make a part of a song anew")
    one.add_argument("start_s", type=float, metavar="START", help="seconds")
    one.add_argument("end_s", type=float, metavar="END", help="seconds")
    one.add_argument("--variance", type=float, metavar="V", help="0 (the same) to 1 (far)")
    finish(one)
    one = edit("extend", making.extend, "make a song longer")
    one.add_argument("--left", type=float, default=0.0, metavar="S", help="seconds before it")
    one.add_argument("--right", type=float, default=0.0, metavar="S", help="seconds behind it")
    finish(one)
    one = edit("reword", making.reword, "sing other words to a song")
    one.add_argument("--lyrics", required=True, metavar="FILE", help="the words; - for stdin")
    one.add_argument("--remix", action="store_true", help="the music may move along")
    finish(one)
    edit("watch", making.watch, "follow a song until it has ended")


def _add_order(one: Parser) -> None:
    one.add_argument("--title", default="")
    one.add_argument("--seed", type=int, help="0 to 4294967295")
    one.add_argument("--variations", "-n", type=int, default=1, metavar="N", help="so many songs (1)")
    one.add_argument("--out", "-o", default="", metavar="PATH", help="file, or folder (the working folder)")
    one.add_argument("--no-wait", action="store_true", help="say the id and leave")


def _add_library(command: Callable[..., Parser]) -> None:
    one = command("list", library.list_songs, "list songs, newest first")
    one.add_argument("--state", action="append", default=[], choices=list(STATES), help="(repeatable)")
    one.add_argument("--query", default="", help="words that title or prompt must hold")
    one.add_argument("--favourite", action="store_true", help="favourites only")
    one.add_argument("--hidden", action="store_true", help="what is hidden")
    one.add_argument("--minted", action="store_true", help="only what is minted on the chain")
    one.add_argument("--limit", type=_positive, default=20, metavar="N", help="at most so many (20)")

    def song(name: str, run: Callable[..., None], text: str) -> Parser:
        added = command(name, run, text)
        added.add_argument("song_id", metavar="SONG_ID")
        return added

    song("show", library.show, "show a song")
    song("family", library.family, "show what a song was made from and what was made from it")
    song("retry", library.retry, "put a failed or cancelled song into the queue again")
    song("cancel", library.cancel, "stop a song")
    song("delete", library.delete, "delete a song for good").add_argument("--yes", action="store_true")
    song("rename", library.rename, "give a song another title").add_argument("title")
    for name, run in (("favourite", library.favourite), ("hide", library.hide), ("share", library.share)):
        one = song(name, run, _MARKS[name])
        one.add_argument("--off", action="store_true", help="take it back")
    one = song("timeline", library.timeline, "say when what is heard, or write it to a file")
    one.add_argument("--format", choices=["json", *TIMELINE_FILES], default="json")
    one.add_argument("--words", action="store_true", help="LRC: with the times of words")
    one.add_argument("--out", "-o", default="", metavar="PATH", help="file, or folder (stdout)")
    one = song("download", library.download, "write a song's audio to a file")
    one.add_argument("--format", choices=list(AUDIO_FORMATS), default="mp3")
    one.add_argument("--out", "-o", default="", metavar="PATH", help="file, or folder (the working folder)")


_MARKS = {
    "favourite": "mark a song as a favourite",
    "hide": "leave a song out of lists",
    "share": "make a link under which anyone can hear a song",
}


def _add_minting(command: Callable[..., Parser]) -> None:
    one = command("save", minting.save, "pin a song's metadata and get the permit to mint it")
    one.add_argument("song_id", metavar="SONG_ID")
    one.add_argument("--permit", choices=list(PERMIT_FORMATS), default="eip712")
    one = command("mint", minting.mint, "show the transaction that mints a saved song, or send it")
    one.add_argument("song_id", metavar="SONG_ID")
    one.add_argument("--rpc-url", default="", metavar="URL", help="of the chain: send it")
    add_keys(one)
    one.add_argument("--yes", action="store_true", help="do not ask before it is sent")


def _positive(text: str) -> Any:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)
