"""Signing in as a wallet does it: a real library's signatures, a contract on a real chain, both faces."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_defunct

from acesteps.gateway.v1 import account_service_pb2 as pb
from acesteps.gateway.v1 import gateway_service_pb2 as gateway_pb
from deploy.local.chain import Chain
from deploy.local.contract import call_rpc
from tests.gateway.mesh import CALL_S, Gateway, Mesh, problem_of
from tests.gateway.wallets import SITE, Wallet, bearer, nonce_of, refusal, signed_in, siwe_text

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_wallet_signs_in_and_finds_its_account_again(accounts: Any) -> None:
    wallet = Wallet()
    first, second = await signed_in(accounts, wallet), await signed_in(accounts, wallet)
    assert first.account.id == second.account.id
    assert [w.address for w in first.account.wallets] == [wallet.address]
    assert first.account.wallets[0].is_default
    assert first.session_token != second.session_token
    other = await signed_in(accounts, Wallet())
    assert other.account.id != first.account.id


async def test_two_first_sign_ins_at_the_same_moment_are_one_account(accounts: Any) -> None:
    wallet = Wallet()
    answers = await asyncio.gather(*(signed_in(accounts, wallet) for _ in range(6)))
    assert len({answer.account.id for answer in answers}) == 1


async def test_a_session_is_let_in_on_both_faces_and_nobody_else_is(locked: Gateway, accounts: Any) -> None:
    assert (await locked.refusal("ListSongs", gateway_pb.ListSongsRequest())).reason == "CREDENTIALS_MISSING"
    answer = await locked.http.get("/v1/songs")
    assert (answer.status_code, problem_of(answer)["reason"]) == (401, "CREDENTIALS_MISSING")
    session = await signed_in(accounts, Wallet())
    metadata = bearer(session.session_token)
    await locked.grpc.ListSongs(gateway_pb.ListSongsRequest(), timeout=CALL_S, metadata=metadata)
    assert (await locked.http.get("/v1/songs", headers=dict(metadata))).status_code == 200
    await accounts.SignOut(pb.SignOutRequest(), timeout=CALL_S, metadata=metadata)
    answer = await locked.http.get("/v1/songs", headers=dict(metadata))
    assert (answer.status_code, problem_of(answer)["reason"]) == (401, "CREDENTIALS_INVALID")


async def test_signing_out_everywhere_ends_every_session(locked: Gateway, accounts: Any) -> None:
    wallet = Wallet()
    sessions = [(await signed_in(accounts, wallet)).session_token for _ in range(3)]
    request = pb.SignOutRequest(everywhere=True)
    await accounts.SignOut(request, timeout=CALL_S, metadata=bearer(sessions[0]))
    for secret in sessions:
        assert (await locked.http.get("/v1/account", headers=dict(bearer(secret)))).status_code == 401


async def test_a_nonce_is_good_once(accounts: Any) -> None:
    wallet = Wallet()
    request = pb.SignInRequest(**wallet.answer(await nonce_of(accounts)))
    outcomes = await asyncio.gather(
        *(accounts.SignIn(request, timeout=CALL_S) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(outcome, pb.SignInResponse) for outcome in outcomes) == 1
    assert (await refusal(accounts.SignIn(request, timeout=CALL_S))).reason == "NONCE_INVALID"


async def test_a_nonce_that_is_not_ours_is_refused(accounts: Any) -> None:
    wallet, nonce = Wallet(), pb.CreateNonceResponse()
    nonce.CopyFrom(await nonce_of(accounts))
    nonce.nonce = "made0up0by0somebody"
    error = await refusal(accounts.SignIn(pb.SignInRequest(**wallet.answer(nonce)), timeout=CALL_S))
    assert error.reason == "NONCE_INVALID"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"domain": "evil.example"}, "message.domain"),
        ({"domain": "http://studio.example"}, "message.scheme"),
        ({"uri": "https://evil.example/studio.example"}, "message.uri"),
        ({"uri": "https://studio.example.evil.example"}, "message.uri"),
        ({"chain_id": 1}, "message.chain_id"),
    ],
)
async def test_a_message_for_another_site_is_refused(accounts: Any, changed: Any, field: str) -> None:
    request = pb.SignInRequest(**Wallet().answer(await nonce_of(accounts), **changed))
    error = await refusal(accounts.SignIn(request, timeout=CALL_S))
    assert (error.reason, error.metadata["field"]) == ("OUT_OF_RANGE", field)


def stamp(**difference: float) -> str:
    return (datetime.now(UTC) + timedelta(**difference)).isoformat()


@pytest.mark.parametrize(
    "changed",
    [
        {"more": {"Expiration Time": stamp(seconds=-1)}},
        {"more": {"Not Before": stamp(hours=1)}},
        {"issued_at": stamp(hours=1)},
        {"issued_at": "9999-12-31T23:59:59-14:00"},
    ],
)
async def test_a_message_that_is_not_valid_now_is_refused(accounts: Any, changed: Any) -> None:
    request = pb.SignInRequest(**Wallet().answer(await nonce_of(accounts), **changed))
    assert (await refusal(accounts.SignIn(request, timeout=CALL_S))).reason == "MESSAGE_EXPIRED"


async def test_anothers_signature_is_refused_and_costs_no_nonce(accounts: Any) -> None:
    wallet, thief = Wallet(), Wallet()
    answer = wallet.answer(await nonce_of(accounts))
    stolen = answer | {"signature": thief.sign(answer["message"])}
    error = await refusal(accounts.SignIn(pb.SignInRequest(**stolen), timeout=CALL_S))
    assert error.reason == "SIGNATURE_INVALID"
    await accounts.SignIn(pb.SignInRequest(**answer), timeout=CALL_S)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [("", "REQUIRED"), ("0x", "MALFORMED"), ("0xabc", "MALFORMED"), ("ff", "MALFORMED")],
)
async def test_what_is_no_signature_is_refused_by_name(accounts: Any, signature: str, reason: str) -> None:
    answer = Wallet().answer(await nonce_of(accounts)) | {"signature": signature}
    error = await refusal(accounts.SignIn(pb.SignInRequest(**answer), timeout=CALL_S))
    assert (error.reason, error.metadata["field"]) == (reason, "signature")


# Says yes to one digest, as a wallet does whose owners have agreed to it on chain.
def contract_that_accepts(digest: bytes) -> str:
    code = bytes.fromhex("7f") + digest + bytes.fromhex("60043514631626ba7e60e01b0260005260206000f3")
    return "0x" + code.hex()


async def test_a_wallet_that_is_a_contract_signs_as_its_contract_says(accounts: Any, anvil: Chain) -> None:
    contract = Wallet().address  # an address whose key nobody uses
    text = siwe_text(await nonce_of(accounts), contract)
    request = pb.SignInRequest(message=text, signature="0x1234")
    assert (await refusal(accounts.SignIn(request, timeout=CALL_S))).reason == "SIGNATURE_INVALID"
    digest = bytes(_hash_eip191_message(encode_defunct(text=text)))
    await asyncio.to_thread(call_rpc, anvil.rpc_url, "anvil_setCode", contract, contract_that_accepts(digest))
    session = await accounts.SignIn(request, timeout=CALL_S)
    assert session.account.wallets[0].address == contract
    other = siwe_text(await nonce_of(accounts), contract)
    error = await refusal(
        accounts.SignIn(pb.SignInRequest(message=other, signature="0x1234"), timeout=CALL_S)
    )
    assert error.reason == "SIGNATURE_INVALID"


async def test_a_contract_that_reverts_has_not_signed(accounts: Any, anvil: Chain) -> None:
    contract = Wallet().address
    await asyncio.to_thread(call_rpc, anvil.rpc_url, "anvil_setCode", contract, "0x60006000fd")
    text = siwe_text(await nonce_of(accounts), contract)
    error = await refusal(accounts.SignIn(pb.SignInRequest(message=text, signature="0x12"), timeout=CALL_S))
    assert error.reason == "SIGNATURE_INVALID"


async def test_a_chain_that_is_away_is_not_the_wallets_fault(shared_pods: Mesh) -> None:
    away = await shared_pods.open(auth="accounts", site_url=SITE, chain_rpc_url="http://127.0.0.1:9")
    nonce = (await away.http.post("/v1/auth/nonce")).json()
    text = siwe_text(pb.CreateNonceResponse(**{k: nonce[k] for k in ("nonce", "domain", "uri", "chain_id")}),
                     Wallet().address, statement="x")  # fmt: skip
    answer = await away.http.post("/v1/auth/sign-in", json={"message": text, "signature": "0x12"})
    assert (answer.status_code, problem_of(answer)["reason"]) == (503, "CHAIN_UNAVAILABLE")


async def with_cookie(locked: Gateway) -> str:
    """The Cookie header of a browser that has signed in."""
    nonce = (await locked.http.post("/v1/auth/nonce")).json()
    message = pb.CreateNonceResponse(
        nonce=nonce["nonce"], domain=nonce["domain"], uri=nonce["uri"], chain_id=nonce["chain_id"],
        statement=nonce["statement"],
    )  # fmt: skip
    answer = await locked.http.post("/v1/auth/sign-in", json=Wallet().answer(message))
    locked.http.cookies.clear()
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    return cookie.partition(";")[0]


async def test_a_browsers_cookie_works_from_our_pages_only(locked: Gateway) -> None:
    cookie = {"cookie": await with_cookie(locked)}
    assert (await locked.http.get("/v1/songs", headers=cookie)).status_code == 200
    for foreign in (
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
    ):
        for method, path in (("POST", "/v1/prompts:review"), ("DELETE", "/v1/account/api-keys/x")):
            answer = await locked.http.request(
                method,
                path,
                headers={**cookie, **foreign},
                json={"prompt": "calm"} if method == "POST" else None,
            )
            assert (answer.status_code, problem_of(answer)["reason"]) == (403, "CROSS_SITE_REQUEST")
    for ours in ({"origin": SITE}, {"sec-fetch-site": "same-origin"}):
        answer = await locked.http.post(
            "/v1/prompts:review", headers={**cookie, **ours}, json={"prompt": "calm piano"}
        )
        assert answer.status_code == 200, answer.text


async def test_a_cookie_is_no_credential_of_a_call(locked: Gateway) -> None:
    cookie = await with_cookie(locked)
    error = await refusal(
        locked.grpc.ListSongs(gateway_pb.ListSongsRequest(), timeout=CALL_S, metadata=(("cookie", cookie),))
    )
    assert error.reason == "CREDENTIALS_MISSING"


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer nonsense", "Bearer ses_x", "Bearer ace_x"])
async def test_credentials_that_are_none_are_refused_also_in_development(
    locked: Gateway, shared: Gateway, header: str
) -> None:
    for gateway in (locked, shared):
        answer = await gateway.http.get("/v1/songs", headers={"authorization": header})
        assert (answer.status_code, problem_of(answer)["reason"]) == (401, "CREDENTIALS_INVALID")
