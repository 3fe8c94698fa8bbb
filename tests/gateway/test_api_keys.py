"""API keys: shown once, found by their hash, good for their scopes, gone when they are revoked."""

from typing import Any

import asyncpg
import pytest

from acesteps.gateway.v1 import account_service_pb2 as pb
from tests.gateway.mesh import CALL_S, Gateway, Mesh, problem_of
from tests.gateway.wallets import Wallet, bearer, refusal, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def session_of(accounts: Any) -> Any:
    return bearer((await signed_in(accounts, Wallet())).session_token)


async def key_of(accounts: Any, session: Any, *scopes: Any, **fields: Any) -> pb.CreateApiKeyResponse:
    request = pb.CreateApiKeyRequest(name="ci", scopes=scopes or [pb.SCOPE_READ], **fields)
    return await accounts.CreateApiKey(request, timeout=CALL_S, metadata=session)


async def test_a_key_is_shown_once_and_kept_as_its_hash(
    locked: Gateway,
    accounts: Any,
    shared_pods: Mesh,
) -> None:
    session = await session_of(accounts)
    made = await key_of(accounts, session, pb.SCOPE_READ)
    assert made.secret.startswith("ace_")
    assert len(made.secret) == len("ace_") + 43
    assert made.secret.startswith(made.api_key.prefix)
    listed = await accounts.ListApiKeys(pb.ListApiKeysRequest(), timeout=CALL_S, metadata=session)
    assert [k.id for k in listed.api_keys] == [made.api_key.id]
    assert made.secret not in str(listed)
    connection = await asyncpg.connect(shared_pods.environment["database_url"])
    rows = await connection.fetch("SELECT * FROM gateway.api_keys")
    await connection.close()
    assert made.secret not in str([dict(row) for row in rows])


async def test_a_key_reads_what_its_account_has_and_may_not_do_what_a_person_must(
    locked: Gateway,
    accounts: Any,
) -> None:
    session = await session_of(accounts)
    key = bearer((await key_of(accounts, session, pb.SCOPE_READ)).secret)
    account = await accounts.GetAccount(pb.GetAccountRequest(), timeout=CALL_S, metadata=key)
    of_session = await accounts.GetAccount(pb.GetAccountRequest(), timeout=CALL_S, metadata=session)
    assert account == of_session
    for call in (
        accounts.CreateApiKey(pb.CreateApiKeyRequest(), timeout=CALL_S, metadata=key),
        accounts.ListApiKeys(pb.ListApiKeysRequest(), timeout=CALL_S, metadata=key),
        accounts.RevokeApiKey(pb.RevokeApiKeyRequest(), timeout=CALL_S, metadata=key),
        accounts.LinkWallet(pb.LinkWalletRequest(), timeout=CALL_S, metadata=key),
        accounts.UnlinkWallet(pb.UnlinkWalletRequest(), timeout=CALL_S, metadata=key),
        accounts.SetDefaultWallet(pb.SetDefaultWalletRequest(), timeout=CALL_S, metadata=key),
        accounts.SignOut(pb.SignOutRequest(everywhere=True), timeout=CALL_S, metadata=key),
    ):
        assert (await refusal(call)).reason == "SESSION_REQUIRED"


async def test_a_revoked_key_is_nobodys_at_once(locked: Gateway, accounts: Any) -> None:
    session = await session_of(accounts)
    made = await key_of(accounts, session)
    headers = dict(bearer(made.secret))
    assert (await locked.http.get("/v1/account", headers=headers)).status_code == 200
    path = f"/v1/account/api-keys/{made.api_key.id}"
    assert (await locked.http.delete(path, headers=dict(session))).status_code == 200
    assert (await locked.http.get("/v1/account", headers=headers)).status_code == 401
    assert (await locked.http.delete(path, headers=dict(session))).status_code == 200  # again


async def test_a_key_expires(locked: Gateway, accounts: Any, shared_pods: Mesh) -> None:
    made = await key_of(accounts, await session_of(accounts), expires_in_days=1)
    assert made.api_key.expire_time.seconds - made.api_key.create_time.seconds == 86_400
    connection = await asyncpg.connect(shared_pods.environment["database_url"])
    await connection.execute(
        "UPDATE gateway.api_keys SET expires_at = now() - interval '1 second' WHERE id = $1::text::uuid",
        made.api_key.id,
    )
    await connection.close()
    answer = await locked.http.get("/v1/account", headers=dict(bearer(made.secret)))
    assert answer.status_code == 401


async def test_anothers_key_cannot_be_seen_or_revoked(locked: Gateway, accounts: Any) -> None:
    mine, other = await session_of(accounts), await session_of(accounts)
    made = await key_of(accounts, mine)
    listed = await accounts.ListApiKeys(pb.ListApiKeysRequest(), timeout=CALL_S, metadata=other)
    assert not listed.api_keys
    request = pb.RevokeApiKeyRequest(api_key_id=made.api_key.id)
    assert (await refusal(accounts.RevokeApiKey(request, timeout=CALL_S, metadata=other))).reason == (
        "API_KEY_NOT_FOUND"
    )
    headers = dict(bearer(made.secret))
    assert (await locked.http.get("/v1/account", headers=headers)).status_code == 200


async def test_an_account_has_so_many_keys(accounts: Any) -> None:
    session = await session_of(accounts)
    for _ in range(50):
        made = await key_of(accounts, session)
    request = pb.CreateApiKeyRequest(name="one more", scopes=[pb.SCOPE_READ])
    error = await refusal(accounts.CreateApiKey(request, timeout=CALL_S, metadata=session))
    assert error.reason == "TOO_MANY"
    gone = pb.RevokeApiKeyRequest(api_key_id=made.api_key.id)
    await accounts.RevokeApiKey(gone, timeout=CALL_S, metadata=session)
    await accounts.CreateApiKey(request, timeout=CALL_S, metadata=session)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"scopes": ["SCOPE_READ"]}, "REQUIRED", "name"),
        ({"name": "x" * 81, "scopes": ["SCOPE_READ"]}, "TOO_LONG", "name"),
        ({"name": "x"}, "REQUIRED", "scopes"),
        ({"name": "x", "scopes": ["SCOPE_UNSPECIFIED"]}, "UNKNOWN_VALUE", "scopes[0]"),
        ({"name": "x", "scopes": ["SCOPE_READ"], "expires_in_days": 0}, "OUT_OF_RANGE", "expires_in_days"),
        ({"name": "x", "scopes": ["SCOPE_READ"], "expires_in_days": 367}, "OUT_OF_RANGE", "expires_in_days"),
    ],
)
async def test_a_key_out_of_its_limits_is_refused_by_field(
    locked: Gateway,
    accounts: Any,
    fields: Any,
    reason: str,
    field: str,
) -> None:
    session = await session_of(accounts)
    answer = await locked.http.post("/v1/account/api-keys", headers=dict(session), json=fields)
    problem = problem_of(answer)
    assert (answer.status_code, problem["reason"], problem["field"]) == (400, reason, field)
