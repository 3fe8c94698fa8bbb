"""A deployment on a real chain: shown first, sent once, resumed after any failure, verified at the end."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3.contract import Contract

from deploy.local.chain import Chain
from deploy.local.contract import call_rpc, development_accounts, send_transaction
from services.signer import deploy
from services.signer.onchain import rlp
from services.signer.onchain.development import KNOWN_TO_ALL, refuse_development_accounts
from services.signer.onchain.node import ChainError, Fees
from services.signer.onchain.song_nft import created_address
from services.signer.onchain.transactions import Call, Transaction
from tests.contracts.songs import at
from tests.signer.chain_steps import KeyFile, funded, nonce, role, sign_and_send

SIGNER = "0x1111111111111111111111111111111111111111"
PACKED_SIGNER = "0x2222222222222222222222222222222222222222"
ADMIN = "0x3333333333333333333333333333333333333333"

Run = Callable[..., int]


@pytest.fixture
def run(anvil: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on the test's chain, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    chain = ["--rpc-url", anvil.rpc_url, "--chain-id", str(anvil.chain_id)]
    return lambda *arguments: deploy.main([*chain, *map(str, arguments)])


@pytest.fixture
def deployer(anvil: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> KeyFile:
    key = funded(anvil.rpc_url, tmp_path, "deployer")
    capsys.readouterr()
    return key


def deployed(anvil: Chain, output: str) -> Contract:
    found = re.search(r"SIGNER_CONTRACT=(0x\w{40})", output)
    assert found, output
    return at(Web3(Web3.HTTPProvider(anvil.rpc_url)), found[1])


def has(contract: Contract, name: str, account: str) -> bool:
    return bool(contract.functions.hasRole(role(contract, name), account).call())


def test_a_dry_run_shows_everything_and_does_nothing(
    anvil: Chain, run: Run, deployer: KeyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    assert run(*deployer.options("deployer-"), "--admin", ADMIN, "--eip712-signer", SIGNER) == 0
    shown = capsys.readouterr().out
    for expected in (
        "chain 31337",
        created_address(deployer.address, 0),
        f"admin {ADMIN}",
        f"royalty 500 basis points to {ADMIN}",
        f"grant EIP712_SIGNER_ROLE to {SIGNER}",
        "gas limit",
        "in all at most",
        "dry run: nothing was sent",
    ):
        assert expected in shown
    assert nonce(anvil.rpc_url, deployer.address) == 0
    assert sorted(tmp_path.iterdir()) == before


def test_a_key_file_deploys_grants_and_verifies_once(
    anvil: Chain, run: Run, deployer: KeyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    key = deployer.options("deployer-")
    plan = ["--admin", deployer.address, "--eip712-signer", SIGNER, "--packed-signer", PACKED_SIGNER]
    assert run(*key, *plan, "--royalty-basis-points", 250, "--contract-uri", "ipfs://c", "--send") == 0
    output = capsys.readouterr().out
    assert "verified" in output
    contract = deployed(anvil, output)
    assert contract.functions.contractURI().call() == "ipfs://c"
    assert contract.functions.royaltyInfo(1, 10_000).call() == [deployer.address, 250]
    for name, account in {
        "EIP712_SIGNER_ROLE": SIGNER,
        "PACKED_SIGNER_ROLE": PACKED_SIGNER,
        "PAUSER_ROLE": deployer.address,
        "DEFAULT_ADMIN_ROLE": deployer.address,
    }.items():
        assert has(contract, name, account), name
    sent = nonce(anvil.rpc_url, deployer.address)
    assert sent == 4
    # Again: without --resume refused, with it nothing is left to send.
    assert run(*key, *plan, "--send") == 1
    assert "go on with --resume" in capsys.readouterr().err
    assert run(*key, "--resume", "--send") == 0
    assert deployed(anvil, capsys.readouterr().out).address == contract.address
    assert nonce(anvil.rpc_url, deployer.address) == sent


def test_an_admin_of_its_own_gets_the_grants_to_sign(
    anvil: Chain, run: Run, deployer: KeyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = funded(anvil.rpc_url, tmp_path, "admin")
    key, file = deployer.options("deployer-"), tmp_path / "grants.json"
    plan = ["--admin", admin.address, "--eip712-signer", SIGNER]
    assert run(*key, *plan, "--send", "--unsigned", file) == 3
    sign_and_send(anvil.rpc_url, admin.account, file)
    assert run(*key, "--resume") == 0
    contract = deployed(anvil, capsys.readouterr().out)
    assert has(contract, "EIP712_SIGNER_ROLE", SIGNER)
    assert has(contract, "DEFAULT_ADMIN_ROLE", admin.address)
    assert not has(contract, "DEFAULT_ADMIN_ROLE", deployer.address)


@pytest.mark.parametrize("nonce_taken", [False, True])
def test_a_hardware_wallet_deploys_from_unsigned_transactions(
    anvil: Chain,
    run: Run,
    deployer: KeyFile,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    nonce_taken: bool,
) -> None:
    """The wallet is eth-account, which knows nothing of our encoding. It may also use another nonce."""
    wallet, file = deployer.account, tmp_path / "unsigned.json"
    account = ["--deployer-address", wallet.address]
    plan = ["--admin", wallet.address, "--eip712-signer", SIGNER]
    assert run(*account, *plan, "--unsigned", file) == 3
    transactions = json.loads(file.read_text())
    assert [t["nonce"] for t in transactions] == ["0x0", "0x1", "0x2"]
    for t in transactions:
        fields = {k: v for k, v in t.items() if k not in ("what", "unsigned", "from") and v is not None}
        theirs = TypedTransaction.from_dict(fields | {"accessList": []})
        assert theirs.hash() == Web3.keccak(hexstr=t["unsigned"])

    if nonce_taken:
        raw = wallet.sign_transaction(
            {"to": ADMIN, "value": 1, "nonce": 0, "gas": 21000, "gasPrice": 10**10, "chainId": 31337}
        ).raw_transaction
        call_rpc(anvil.rpc_url, "eth_sendRawTransaction", "0x" + bytes(raw).hex())
        assert run(*account, "--resume") == 1
        assert "went to something else" in capsys.readouterr().err
        creation = transactions[0] | {"nonce": "0x1"}
        file.write_text(json.dumps([creation]))
        (created,) = sign_and_send(anvil.rpc_url, wallet, file)
        assert run(*account, "--resume", "--transaction", created, "--unsigned", file) == 3
    else:
        assert run(*account, "--resume") == 3  # nothing was signed yet
    sign_and_send(anvil.rpc_url, wallet, file)
    assert run(*account, "--resume") == 0
    assert has(deployed(anvil, capsys.readouterr().out), "EIP712_SIGNER_ROLE", SIGNER)


def test_a_command_killed_between_writing_and_sending_goes_on_with_the_same_transaction(
    anvil: Chain, run: Run, deployer: KeyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = deployer.options("deployer-")
    call_rpc(anvil.rpc_url, "evm_setAutomine", False)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("services.signer.onchain.node.Node.broadcast", killed)
            with pytest.raises(KeyboardInterrupt):
                run(*key, "--admin", deployer.address, "--eip712-signer", SIGNER, "--send")
    finally:
        call_rpc(anvil.rpc_url, "evm_setAutomine", True)
    record = json.loads((tmp_path / "deployment.31337.json").read_text())
    (promised,) = record["transactions"]
    assert run(*key, "--resume", "--send") == 0
    output = capsys.readouterr().out
    assert promised in output
    assert deployed(anvil, output).address == created_address(deployer.address, 0)
    assert nonce(anvil.rpc_url, deployer.address) == 3


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_confirmations_are_waited_for(anvil: Chain, run: Run, deployer: KeyFile) -> None:
    """anvil mines a block every second on its own here, so that three take at least one more."""
    key = deployer.options("deployer-")
    call_rpc(anvil.rpc_url, "evm_setIntervalMining", 1)
    try:
        plan = ["--admin", ADMIN, "--eip712-signer", SIGNER]
        assert run(*key, *plan, "--send", "--confirmations", 2) == 3
    finally:
        call_rpc(anvil.rpc_url, "evm_setIntervalMining", 0)
        call_rpc(anvil.rpc_url, "evm_setAutomine", True)
    record = json.loads(Path("deployment.31337.json").read_text())
    (created,) = record["transactions"].values()
    assert int(call_rpc(anvil.rpc_url, "eth_blockNumber"), 16) >= created["block"] + 1


def test_what_cannot_go_well_is_refused_before_anything_is_sent(
    anvil: Chain, run: Run, deployer: KeyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = deployer.options("deployer-")
    plan = ["--admin", ADMIN, "--eip712-signer", SIGNER]
    poor = ["--deployer-address", ADMIN]
    refused = {
        "needs --admin and --eip712-signer": [*key, "--send"],
        "its key must not be that of EIP-712": [*key, *plan, "--packed-signer", SIGNER, "--send"],
        "--send needs the deployer's key": [*poor, *plan, "--send"],
        "give one of --deployer-keystore": [*plan, "--send"],
        "may need": [*key, *plan, "--send", "--max-fee-gwei", 900_000],
        "below the base fee": [*key, *plan, "--send", "--max-fee-gwei", 0],
        "cannot read": [*key, "--resume", "--send", "--record", tmp_path / "none.json"],
        "is on chain 31337, not 1": [*key, *plan, "--chain-id", 1, "--send"],
        "Connection refused": [*key, *plan, "--rpc-url", "http://127.0.0.1:1/v2/apikey", "--send"],
    }
    for complaint, arguments in refused.items():
        assert run(*arguments) == 1, complaint
        told = capsys.readouterr().err
        assert complaint in told
        assert "apikey" not in told
        assert len(told.splitlines()) == 1
    assert nonce(anvil.rpc_url, deployer.address) == 0


def test_transactions_in_flight_are_waited_for(anvil: Chain, run: Run, deployer: KeyFile) -> None:
    call_rpc(anvil.rpc_url, "evm_setAutomine", False)
    try:
        raw = deployer.account.sign_transaction(
            {"to": ADMIN, "value": 1, "nonce": 0, "gas": 21000, "gasPrice": 10**10, "chainId": 31337}
        ).raw_transaction
        call_rpc(anvil.rpc_url, "eth_sendRawTransaction", "0x" + bytes(raw).hex())
        assert run(*deployer.options("deployer-"), "--admin", ADMIN, "--eip712-signer", SIGNER) == 1
    finally:
        call_rpc(anvil.rpc_url, "evm_setAutomine", True)
        call_rpc(anvil.rpc_url, "evm_mine")


def test_another_contract_in_the_place_is_not_taken_for_ours(
    anvil: Chain, run: Run, deployer: KeyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    key = deployer.options("deployer-")
    assert run(*key, "--admin", deployer.address, "--eip712-signer", SIGNER, "--send") == 0
    contract = deployed(anvil, capsys.readouterr().out)
    code = call_rpc(anvil.rpc_url, "eth_getCode", contract.address, "latest")
    spoiled = code[:200] + ("00" if code[200:202] != "00" else "01") + code[202:]
    call_rpc(anvil.rpc_url, "anvil_setCode", contract.address, spoiled)
    assert run(*key, "--resume") == 1
    assert "is not that of SongNFT.json" in capsys.readouterr().err


def test_keys_that_everybody_has_are_for_development_chains_only(anvil: Chain) -> None:
    accounts = development_accounts(anvil.rpc_url)
    assert {account.lower() for account in accounts} <= KNOWN_TO_ALL
    refuse_development_accounts(31337, accounts)
    for account in accounts:
        with pytest.raises(ChainError, match="everybody has the key"):
            refuse_development_accounts(1, [ADMIN, account])


def test_a_public_chain_refuses_a_development_key(
    tmp_path: Path, run: Run, anvil: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    """anvil says for a while that it is another chain."""
    call_rpc(anvil.rpc_url, "anvil_setChainId", 8453)
    try:
        known = development_accounts(anvil.rpc_url)[3]
        plan = ["--chain-id", 8453, "--admin", ADMIN, "--eip712-signer", SIGNER]
        assert run(*plan, "--deployer-address", known) == 1
        assert "everybody has the key" in capsys.readouterr().err
        assert run(*plan, "--deployer-address", ADMIN, "--pauser", known) == 1
        assert run(*plan, "--deployer-address", ADMIN) == 0
        assert "5 confirmations" in capsys.readouterr().out
    finally:
        call_rpc(anvil.rpc_url, "anvil_setChainId", 31337)


@given(
    st.integers(0, 2**64),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.integers(0, 2**24),
    st.one_of(st.none(), st.binary(min_size=20, max_size=20)),
    st.binary(max_size=300),
)
@settings(max_examples=50)
def test_a_transaction_is_encoded_as_eth_account_does(
    nonce: int, most: int, priority: int, gas: int, to: bytes | None, data: bytes
) -> None:
    wallet = Account.from_key(b"\x21" * 32)
    receiver = Web3.to_checksum_address(to) if to else None
    call = Call("any", wallet.address, receiver, data)
    ours = Transaction(call, 31337, nonce, Fees(0, min(most, priority), most), gas)
    fields = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "maxFeePerGas": most,
        "maxPriorityFeePerGas": min(most, priority),
        "gas": gas,
        "value": 0,
        "data": data,
    } | ({"to": receiver} if receiver else {})
    theirs = wallet.sign_transaction(fields)
    signature = theirs.r.to_bytes(32) + theirs.s.to_bytes(32) + bytes([27 + theirs.v])
    assert ours.signed(signature) == bytes(theirs.raw_transaction)


def test_rlp_is_that_of_the_yellow_paper() -> None:
    assert rlp.encode(b"dog") == b"\x83dog"
    assert rlp.encode([]) == b"\xc0"
    assert rlp.encode(0) == b"\x80"
    assert rlp.encode(15) == b"\x0f"
    assert rlp.encode(1024) == b"\x82\x04\x00"
    assert rlp.encode([b"cat", [b"dog"]]) == b"\xc9\x83cat\xc4\x83dog"
    assert rlp.encode(b"a" * 56) == b"\xb8\x38" + b"a" * 56


def test_the_address_of_a_creation_is_that_of_the_chain(anvil: Chain) -> None:
    sender = development_accounts(anvil.rpc_url)[5]
    expected = created_address(sender, nonce(anvil.rpc_url, sender))
    receipt = send_transaction(anvil.rpc_url, sender, data="0x00")
    assert Web3.to_checksum_address(receipt["contractAddress"]) == expected
