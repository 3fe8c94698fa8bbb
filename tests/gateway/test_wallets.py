"""A second wallet, another default, and wallets that are somebody else's."""

from typing import Any

import pytest

from acesteps.gateway.v1 import account_service_pb2 as pb
from tests.gateway.mesh import CALL_S
from tests.gateway.wallets import Wallet, bearer, nonce_of, refusal, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def link(accounts: Any, session: Any, wallet: Wallet) -> Any:
    request = pb.LinkWalletRequest(**wallet.answer(await nonce_of(accounts)))
    return await accounts.LinkWallet(request, timeout=CALL_S, metadata=session)


async def test_an_account_signs_in_with_any_of_its_wallets(accounts: Any) -> None:
    first, second = Wallet(), Wallet()
    mine = await signed_in(accounts, first)
    session = bearer(mine.session_token)
    linked = (await link(accounts, session, second)).account
    assert [(w.address, w.is_default) for w in linked.wallets] == [
        (first.address, True),
        (second.address, False),
    ]
    assert (await link(accounts, session, second)).account == linked  # again
    assert (await signed_in(accounts, second)).account.id == mine.account.id


async def test_a_wallet_of_another_account_is_not_linked(accounts: Any) -> None:
    mine, theirs = Wallet(), Wallet()
    session = bearer((await signed_in(accounts, mine)).session_token)
    other = await signed_in(accounts, theirs)
    assert (await refusal(link(accounts, session, theirs))).reason == "WALLET_TAKEN"
    assert (await signed_in(accounts, theirs)).account.id == other.account.id


async def test_a_wallet_that_did_not_sign_is_not_linked(accounts: Any) -> None:
    session = bearer((await signed_in(accounts, Wallet())).session_token)
    answer = Wallet().answer(await nonce_of(accounts)) | {"signature": Wallet().sign("x")}
    error = await refusal(
        accounts.LinkWallet(pb.LinkWalletRequest(**answer), timeout=CALL_S, metadata=session)
    )
    assert error.reason == "SIGNATURE_INVALID"


async def test_the_default_moves_and_is_inherited(accounts: Any) -> None:
    first, second, third = Wallet(), Wallet(), Wallet()
    session = bearer((await signed_in(accounts, first)).session_token)
    await link(accounts, session, second)
    await link(accounts, session, third)

    async def default_after(call: str, request: Any) -> list[str]:
        account = (await getattr(accounts, call)(request, timeout=CALL_S, metadata=session)).account
        return [w.address for w in account.wallets if w.is_default]

    third_default = pb.SetDefaultWalletRequest(address=third.address)
    assert await default_after("SetDefaultWallet", third_default) == [third.address]
    assert await default_after("SetDefaultWallet", third_default) == [third.address]
    assert await default_after("UnlinkWallet", pb.UnlinkWalletRequest(address=third.address)) == [
        first.address
    ]
    assert await default_after("UnlinkWallet", pb.UnlinkWalletRequest(address=second.address)) == [
        first.address
    ]
    error = await refusal(
        accounts.UnlinkWallet(pb.UnlinkWalletRequest(address=first.address), timeout=CALL_S, metadata=session)
    )
    assert error.reason == "LAST_WALLET"
    error = await refusal(accounts.SetDefaultWallet(third_default, timeout=CALL_S, metadata=session))
    assert error.reason == "WALLET_NOT_FOUND"


async def test_a_wallet_that_is_taken_away_takes_its_sessions_along(accounts: Any) -> None:
    first, second = Wallet(), Wallet()
    session = bearer((await signed_in(accounts, first)).session_token)
    await link(accounts, session, second)
    by_second = bearer((await signed_in(accounts, second)).session_token)
    await accounts.UnlinkWallet(
        pb.UnlinkWalletRequest(address=second.address), timeout=CALL_S, metadata=session
    )
    error = await refusal(accounts.GetAccount(pb.GetAccountRequest(), timeout=CALL_S, metadata=by_second))
    assert error.reason == "CREDENTIALS_INVALID"
    # and is free for another account
    other = await signed_in(accounts, second)
    assert other.account.wallets[0].address == second.address
    assert len(other.account.wallets) == 1
