"""Sign-In with Ethereum messages, read as EIP-4361's grammar has them and no other way.

Knows the text; who signed it is `signatures`'s, and whether it is meant for us is `signing_in`'s.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from eth_utils.address import is_checksum_address

from services.common.errors import InvalidField

LONGEST_MESSAGE = 4096

_PCT = r"%[0-9A-Fa-f]{2}"
_UNRESERVED = r"A-Za-z0-9\-._~"
_SUB_DELIMS = r"!$&'()*+,;="
_PCHAR = rf"(?:[{_UNRESERVED}{_SUB_DELIMS}:@]|{_PCT})"
# RFC 3986: authority = [ userinfo "@" ] host [ ":" port ], whose host here is not empty
_AUTHORITY = (
    rf"(?:(?:[{_UNRESERVED}{_SUB_DELIMS}:]|{_PCT})*@)?"
    rf"(?:\[[0-9A-Fa-f:.]+\]|(?:[{_UNRESERVED}{_SUB_DELIMS}]|{_PCT})+)(?::[0-9]*)?"
)
# A URI with a scheme, its hierarchical part, query and fragment.
_URI = (
    rf"[A-Za-z][A-Za-z0-9+.\-]*:"
    rf"(?://(?:{_AUTHORITY})?(?:/{_PCHAR}*)*|/?{_PCHAR}+(?:/{_PCHAR}*)*)"
    rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
)
_TIME = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+\-]\d{2}:\d{2})"

_HEAD = re.compile(
    rf"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://)?(?P<domain>{_AUTHORITY})"
    r" wants you to sign in with your Ethereum account:",
    re.ASCII,
)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_STATEMENT = re.compile(rf"[{_UNRESERVED}{_SUB_DELIMS}:/?#\[\]@% ]+", re.ASCII)
_URI_LINE = re.compile(_URI, re.ASCII)
_CHAIN = re.compile(r"[0-9]{1,18}", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9]{8,128}", re.ASCII)
_TIME_LINE = re.compile(_TIME, re.ASCII)
_REQUEST = re.compile(rf"{_PCHAR}*", re.ASCII)


@dataclass(frozen=True)
class SiweMessage:
    """The parts of a message, as it has them. Times are aware."""

    # None: the message names none
    scheme: str | None
    domain: str
    # EIP-55
    address: str
    statement: str | None
    uri: str
    chain_id: int
    nonce: str
    issued_at: datetime
    expiration_time: datetime | None
    not_before: datetime | None
    request_id: str | None
    resources: tuple[str, ...]


def parse(text: str) -> SiweMessage:
    """The message that `text` is.

    Raises:
        InvalidField: TOO_LONG, or MALFORMED with the part that is not as EIP-4361 wants it.
    """
    if len(text) > LONGEST_MESSAGE:
        limit = f"at most {LONGEST_MESSAGE} characters"
        raise InvalidField("TOO_LONG", "message", f"message has {len(text)} characters", limit=limit)
    lines = _Lines(text.split("\n"))
    head = lines.matched(_HEAD, "message.domain", "a domain and the sentence of EIP-4361")
    address = lines.matched(_ADDRESS, "message.address", _ADDRESS_LIMIT)[0]
    if not is_checksum_address(address):
        raise _malformed("message.address", _ADDRESS_LIMIT)
    lines.blank("message.statement")
    statement = None
    if lines.peek() != "":
        statement = lines.matched(_STATEMENT, "message.statement", "one line of URI characters and spaces")[0]
    lines.blank("message.statement")
    uri = lines.labelled("URI", _URI_LINE, "message.uri", "a URI (RFC 3986)")
    lines.labelled("Version", re.compile("1"), "message.version", "1")
    chain_id = lines.labelled("Chain ID", _CHAIN, "message.chain_id", "a number (EIP-155)")
    nonce = lines.labelled("Nonce", _NONCE, "message.nonce", "8 to 128 letters and digits")
    issued_at = _moment(
        lines.labelled("Issued At", _TIME_LINE, "message.issued_at", _TIME_LIMIT), "issued_at"
    )
    expiration = lines.optional("Expiration Time", _TIME_LINE, "message.expiration_time", _TIME_LIMIT)
    not_before = lines.optional("Not Before", _TIME_LINE, "message.not_before", _TIME_LIMIT)
    request_id = lines.optional("Request ID", _REQUEST, "message.request_id", "characters of a URI's path")
    return SiweMessage(
        scheme=head["scheme"],
        domain=head["domain"],
        address=address,
        statement=statement,
        uri=uri,
        chain_id=int(chain_id),
        nonce=nonce,
        issued_at=issued_at,
        expiration_time=None if expiration is None else _moment(expiration, "expiration_time"),
        not_before=None if not_before is None else _moment(not_before, "not_before"),
        request_id=request_id,
        resources=_resources(lines),
    )


_ADDRESS_LIMIT = '"0x" and 40 hex digits with the EIP-55 checksum'
_TIME_LIMIT = "a moment with its offset (RFC 3339)"


class _Lines:
    """What is left of the message, line by line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines, self._next = lines, 0

    def peek(self) -> str | None:
        return self._lines[self._next] if self._next < len(self._lines) else None

    def matched(self, pattern: re.Pattern[str], field: str, limit: str) -> re.Match[str]:
        line = self.peek()
        match = None if line is None else pattern.fullmatch(line)
        if match is None:
            raise _malformed(field, limit)
        self._next += 1
        return match

    def blank(self, field: str) -> None:
        self.matched(re.compile(""), field, "an empty line around the statement")

    def labelled(self, label: str, pattern: re.Pattern[str], field: str, limit: str) -> str:
        """The value of the line "<label>: <value>", which has to be next."""
        line = self.peek()
        name, colon, value = (line or "").partition(": ")
        if name != label or not colon or not pattern.fullmatch(value):
            raise _malformed(field, f'"{label}: " and {limit}')
        self._next += 1
        return value

    def optional(self, label: str, pattern: re.Pattern[str], field: str, limit: str) -> str | None:
        line = self.peek()
        if line is None or not line.startswith(f"{label}:"):
            return None
        return self.labelled(label, pattern, field, limit)


def _resources(lines: _Lines) -> tuple[str, ...]:
    if lines.peek() is None:
        return ()
    lines.matched(re.compile("Resources:"), "message", "nothing but the lines of EIP-4361 in their order")
    found = []
    while lines.peek() is not None:
        line = lines.matched(
            re.compile(f"- {_URI}", re.ASCII), "message.resources", '"- " and a URI (RFC 3986)'
        )
        found.append(line[0].removeprefix("- "))
    return tuple(found)


def _moment(text: str, name: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # the 31st of February
        raise _malformed(f"message.{name}", _TIME_LIMIT) from None


def _malformed(field: str, limit: str) -> InvalidField:
    return InvalidField("MALFORMED", field, f"{field} is not as EIP-4361 has it", limit=limit)
