"""From a prompt to a token by the command line alone."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from clients.demo.wallet import Wallet
from deploy.local.stack import Stack


async def acesteps(stack: Stack, folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "acesteps", *arguments, "--target", stack.gateway_target, "--json",
        cwd=folder, env={"HOME": str(folder)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_song_is_made_saved_and_minted_by_commands(stack: Stack, out: Path) -> None:
    async def done(*arguments: str) -> dict[str, Any]:
        status, answer, errors = await acesteps(stack, out, *arguments)
        assert status == 0, errors
        return dict(json.loads(answer))

    wallet = Wallet(stack.rpc_url)
    await wallet.fund()
    (out / "key").write_text(wallet.private_key)
    (out / "not-a-key").write_text("0x1234")
    song = (await done("make", "calm piano, 90 BPM", "--duration", "6", "--creator", wallet.address))["song"]
    status, _, errors = await acesteps(stack, out, "mint", song["id"])
    assert (status, "NOT_SAVED" in errors) == (1, True)
    saved = await done("save", song["id"])
    order = await done("mint", song["id"])
    assert order["creator"] == wallet.address

    send = ("mint", song["id"], "--rpc-url", stack.rpc_url, "--private-key-file")
    status, answer, errors = await acesteps(stack, out, *send, "not-a-key", "--yes")
    assert (status, answer, errors) == (2, "", "acesteps: this is not a private key of 32 bytes in hex\n")
    status, answer, errors = await acesteps(stack, out, *send, "key")
    assert (status, answer, "--yes" in errors) == (1, "", True)  # nobody is there to be asked
    await done(*send, "key", "--yes")
    token = await wallet.token(order["contract"], order["token_id"])
    assert token == (wallet.address, saved["song"]["save"]["metadata_uri"])
    status, answer, errors = await acesteps(stack, out, *send, "key", "--yes")
    assert (status, answer, len(errors.splitlines())) == (1, "", 1)  # it is minted
    await wallet.close()


async def test_a_song_is_changed_by_commands_and_the_last_of_its_chain_is_minted(
    stack: Stack, out: Path
) -> None:
    async def done(*arguments: str) -> dict[str, Any]:
        status, answer, errors = await acesteps(stack, out, *arguments)
        assert status == 0, errors
        return dict(json.loads(answer))

    wallet = Wallet(stack.rpc_url)
    await wallet.fund()
    (out / "key").write_text(wallet.private_key)
    (out / "words.txt").write_text("[verse]\nrain on the roof\nrain on the pane\n")
    (out / "others.txt").write_text("[verse]\nsnow on the river\nrain on the pane\n")
    make = ("make", "calm piano pop, 100 BPM", "--duration", "10", "--lyrics", "words.txt")
    songs = [(await done(*make, "--creator", wallet.address))["song"]]
    for command, *more in (
        ("vary", "--variance", "0.2"), ("repaint", "3", "5"), ("extend", "--right", "5"),
        ("reword", "--lyrics", "others.txt"),
    ):  # fmt: skip
        songs.append((await done(command, songs[-1]["id"], *more))["song"])
    last = songs[-1]
    assert [song["engine"] for song in songs] == ["sketch"] * 5
    assert [song["audio"]["duration_s"] for song in songs] == [10, 10, 10, 15, 15]
    assert len({song["audio"]["pcm_sha256"] for song in songs}) == 5

    saved = await done("save", last["id"])
    order = await done("mint", last["id"])
    await done("mint", last["id"], "--rpc-url", stack.rpc_url, "--private-key-file", "key", "--yes")
    token = await wallet.token(order["contract"], order["token_id"])
    assert token == (wallet.address, saved["song"]["save"]["metadata_uri"])
    assert int(order["token_id"], 16) == int(last["audio"]["sha256"], 16)
    await wallet.close()
