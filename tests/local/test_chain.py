"""The local chain: it remembers what was mined, and always has the contract."""

import json
import signal
import time
from pathlib import Path

import pytest

from deploy.local import chain as local_chain
from deploy.local.contract import ChainError, call_rpc, deploy_song_nft, fund, has_code, send_transaction

SIGNER = "0x" + "11" * 20
WALLET = "0x" + "22" * 20


def balance(rpc_url: str, address: str) -> int:
    return int(call_rpc(rpc_url, "eth_getBalance", address, "latest"), 16)


def test_a_stopped_chain_goes_on_where_it_was(tmp_path: Path) -> None:
    with local_chain.start(tmp_path) as chain:
        first = chain.ensure_song_nft([SIGNER])
        fund(chain.rpc_url, WALLET, ether=3)
    with local_chain.start(tmp_path) as chain:
        assert balance(chain.rpc_url, WALLET) == 3 * 10**18
        assert chain.ensure_song_nft([SIGNER]) == first
        logs = call_rpc(chain.rpc_url, "eth_getLogs", {"fromBlock": "0x0", "address": first.address})
        assert logs


def test_a_chain_whose_state_was_cut_off_starts_anew_with_the_contract_in_its_old_place(
    tmp_path: Path,
) -> None:
    with local_chain.start(tmp_path) as chain:
        first = chain.ensure_song_nft([SIGNER])
    state = (tmp_path / "state.json").read_text()
    (tmp_path / "state.json").write_text(state[: len(state) // 2])
    lines: list[str] = []
    with local_chain.start(tmp_path, report=lines.append) as chain:
        assert chain.ensure_song_nft([SIGNER]) == first
        assert has_code(chain.rpc_url, first.address)
    assert lines == ["the chain's state was cut off by a kill: the chain starts anew"]


def test_a_killed_chain_is_ready_again_only_with_the_contract(tmp_path: Path) -> None:
    with local_chain.start(tmp_path) as chain:
        deployment = chain.ensure_song_nft([SIGNER])
        pid = chain.kill(signal.SIGKILL)  # before its state is written for the first time
        chain.wait_ready(after=pid)
        assert has_code(chain.rpc_url, deployment.address)


def test_what_was_mined_a_while_ago_survives_a_kill(tmp_path: Path) -> None:
    with local_chain.start(tmp_path) as chain:
        fund(chain.rpc_url, WALLET, ether=3)
        time.sleep(local_chain.STATE_INTERVAL_S + 0.5)
        pid = chain.kill(signal.SIGKILL)
        chain.wait_ready(after=pid)
        assert balance(chain.rpc_url, WALLET) == 3 * 10**18


def test_a_contract_whose_source_has_changed_is_deployed_anew(tmp_path: Path) -> None:
    with local_chain.start(tmp_path) as chain:
        first = chain.ensure_song_nft([SIGNER])
        record = tmp_path / "contract.json"
        record.write_text(
            json.dumps({**json.loads(record.read_text()), "bytecode_sha256": "of an older one"})
        )
        second = chain.ensure_song_nft([SIGNER])
        assert second.address != first.address
        assert chain.ensure_song_nft([SIGNER]) == second


def test_a_reverted_deployment_is_an_error(tmp_path: Path) -> None:
    with local_chain.start(tmp_path) as chain:
        with pytest.raises(ChainError):
            deploy_song_nft(chain.rpc_url, "0x" + "00" * 20)
        with pytest.raises(ChainError):
            send_transaction(chain.rpc_url, WALLET, to=SIGNER, value="0x1")


def test_a_node_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(ChainError, match="eth_chainId at http://127"):
        call_rpc("http://127.0.0.1:1", "eth_chainId")
