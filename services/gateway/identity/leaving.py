"""All that is kept about an account, for it to take along; and the end of an account.

Knows what belongs to an account. What proves minted songs stays.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from google.protobuf import json_format

from acesteps.gateway.v1 import account_service_pb2 as pb
from services.common.errors import FailedPrecondition, InvalidField
from services.gateway.accounts import DEVELOPMENT_ACCOUNT
from services.gateway.database import Database
from services.gateway.identity.use_cases import AccountUseCases
from services.gateway.messages import song_message
from services.gateway.models import Account
from services.gateway.store import Store, every

VERSION = 1
PIECE_BYTES = 64 << 10

# In one transaction, in this order.
_DELETIONS = (
    "UPDATE accounts SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL",
    # Songs that nobody can mint go as DeleteSong has it; the others lose what only the account knew.
    "UPDATE objects SET look_at = now() WHERE sha256 IN (SELECT unnest(ARRAY[audio_sha256, master_sha256,"
    " state_sha256, timeline_sha256]) FROM songs"
    " WHERE account_id = $1 AND saved_at IS NULL AND permit_asked_at IS NULL)",
    "DELETE FROM pins WHERE cid IN (SELECT unnest(ARRAY[audio_cid, metadata_cid, image_cid]) FROM songs"
    " WHERE account_id = $1 AND saved_at IS NULL AND permit_asked_at IS NULL AND metadata_cid <> '')",
    "DELETE FROM audio_chunks WHERE song_id IN (SELECT id FROM songs WHERE account_id = $1)",
    "UPDATE songs SET deleted_at = CASE WHEN saved_at IS NULL AND permit_asked_at IS NULL"
    "   THEN coalesce(deleted_at, now()) END,"
    " title = CASE WHEN saved_at IS NULL AND permit_asked_at IS NULL THEN '' ELSE title END,"
    " prompt = '', given_lyrics = '', lyrics = NULL, share_token = NULL, hidden = true, favourite = false,"
    " failure_message = '', lease_expires_at = NULL, eta_s = 0, ended_at = coalesce(ended_at, now()),"
    " state = CASE WHEN state IN ('QUEUED', 'RUNNING') THEN 'CANCELLED' ELSE state END,"
    " revision = revision + 1 WHERE account_id = $1",
    "DELETE FROM sessions WHERE account_id = $1",
    "DELETE FROM api_keys WHERE account_id = $1",
    "DELETE FROM webhooks WHERE account_id = $1",
    "DELETE FROM wallets WHERE account_id = $1",
)


class Leaving:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), PermissionDenied (SESSION_REQUIRED)."""

    def __init__(self, database: Database, store: Store, identity: AccountUseCases) -> None:
        self._database, self._store, self._identity = database, store, identity

    async def export(
        self, account: Account, request: pb.ExportAccountRequest
    ) -> AsyncGenerator[pb.ExportAccountResponse]:
        """One JSON document, in pieces of about PIECE_BYTES."""
        account.require_session()
        held = b""
        async for text in self._document(account):
            held += text.encode()
            if len(held) >= PIECE_BYTES:
                yield pb.ExportAccountResponse(data=held)
                held = b""
        yield pb.ExportAccountResponse(data=held)

    async def delete(self, account: Account, request: pb.DeleteAccountRequest) -> pb.DeleteAccountResponse:
        """Raises InvalidField (OUT_OF_RANGE), FailedPrecondition (DEVELOPMENT_ACCOUNT)."""
        account.require_session()
        if request.confirm != str(account.id):
            raise InvalidField(
                "OUT_OF_RANGE", "confirm", "confirm is not the account's id", limit=str(account.id)
            )
        if account.id == DEVELOPMENT_ACCOUNT.id:
            raise FailedPrecondition("DEVELOPMENT_ACCOUNT", "the account of a development stays")
        async with self._database.transaction() as transaction:
            for statement in _DELETIONS:
                await transaction.value(statement, account.id)
        return pb.DeleteAccountResponse()

    async def _document(self, account: Account) -> AsyncIterator[str]:
        read = await self._identity.read(account)
        keys = await self._identity.list_api_keys(account, pb.ListApiKeysRequest())
        head = {"version": VERSION, "account": _json(read), "api_keys": [_json(k) for k in keys.api_keys]}
        yield json.dumps(head, ensure_ascii=False)[:-1] + ', "songs": ['
        comma = ""
        async for song in every(self._store, account.id):
            envelope = song.envelope.decode() if song.envelope else None
            entry = {
                "song": _json(song_message(song)),
                "given_lyrics": song.given_lyrics,
                "envelope": envelope,
            }
            yield comma + json.dumps(entry, ensure_ascii=False)
            comma = ", "
        yield "]}"


def _json(message: Any) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)
