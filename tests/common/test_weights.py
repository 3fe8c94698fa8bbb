"""Fetching weights from a real HTTP server that misbehaves on demand."""

import contextlib
import hashlib
import re
import resource
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import pytest

from services.common.weights import Release, WeightFile, WeightsError, digest_of, fetch, main, verify
from services.lyrics import weights as lyrics_weights
from services.music import weights as music_weights

CONTENT = bytes(range(256)) * 9000  # 2.3 MB, more than one chunk
SMALL = b'{"_class_name": "Tiny"}'


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.common.weights.RETRY_S", 0.0)


def of(*files: WeightFile) -> Release:
    return Release("python -m a.release", "a release", files)


@dataclass
class Peer:
    """What the server does, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: {"/big.bin": CONTENT, "/config.json": SMALL})
    # Bodies end after this many bytes, so many times.
    cut_at: int = 0
    cuts: int = 0
    ranges: bool = True
    errors: list[int] = field(default_factory=list)
    commit: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def release(self) -> Release:
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        return of(
            WeightFile(PurePosixPath("model/big.bin"), f"{self.url}/big.bin", len(CONTENT), sha256),
            WeightFile(PurePosixPath("model/config.json"), f"{self.url}/config.json"),
        )


@pytest.fixture
def peer() -> Iterator[Peer]:
    state = Peer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(f"{self.path} {self.headers.get('Range', '')}".strip())
            if state.errors:
                self.send_error(state.errors.pop(0))
                return
            if self.path not in state.files:
                self.send_error(404)
                return
            body = state.files[self.path]
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if state.ranges else None
            start = int(wanted[1]) if wanted else 0
            if wanted and start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(body) - start))
            if state.commit:
                self.send_header("X-Repo-Commit", state.commit)
            self.end_headers()
            sent = body[start:]
            if state.cuts and len(sent) > state.cut_at:
                state.cuts -= 1
                sent = sent[: state.cut_at]
            self.wfile.write(sent)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def test_a_fetched_folder_verifies_and_its_digest_is_sha256sums(peer: Peer, tmp_path: Path) -> None:
    fetch(tmp_path, peer.release)
    lines = sorted(
        f"{hashlib.sha256(data).hexdigest()}  model/{name}\n"
        for name, data in (("big.bin", CONTENT), ("config.json", SMALL))
    )
    assert verify(tmp_path, peer.release) == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert not list(tmp_path.rglob("*.part"))


def test_a_broken_connection_goes_on_where_it_broke(peer: Peer, tmp_path: Path) -> None:
    peer.cut_at, peer.cuts = 1_000_000, 2
    fetch(tmp_path, peer.release)
    assert peer.asked[:3] == ["/big.bin", "/big.bin bytes=1000000-", "/big.bin bytes=2000000-"]
    assert (tmp_path / "model/big.bin").read_bytes() == CONTENT


def test_a_download_that_was_killed_goes_on_in_the_next_run(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/big.bin.part").write_bytes(CONTENT[:1234])
    fetch(tmp_path, peer.release)
    assert peer.asked[0] == "/big.bin bytes=1234-"
    assert (tmp_path / "model/big.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_is_asked_for_everything_again(peer: Peer, tmp_path: Path) -> None:
    peer.ranges, peer.cut_at, peer.cuts = False, 1_000_000, 1
    fetch(tmp_path, peer.release)
    assert (tmp_path / "model/big.bin").read_bytes() == CONTENT


def test_what_is_there_and_right_is_not_fetched_again(peer: Peer, tmp_path: Path) -> None:
    fetch(tmp_path, peer.release)
    peer.asked.clear()
    fetch(tmp_path, peer.release)
    assert peer.asked == []


def test_a_passing_error_is_tried_again_a_lasting_one_is_named(peer: Peer, tmp_path: Path) -> None:
    peer.errors = [503, 429]
    fetch(tmp_path, peer.release)
    gone = replace(peer.release.files[0], path=PurePosixPath("gone"), url=f"{peer.url}/gone")
    with pytest.raises(WeightsError, match="404"):
        fetch(tmp_path, of(gone))


def test_another_file_under_the_same_name_is_refused_and_not_kept(peer: Peer, tmp_path: Path) -> None:
    peer.files["/big.bin"] = CONTENT[::-1]
    with pytest.raises(WeightsError, match="not the released file"):
        fetch(tmp_path, peer.release)
    assert not list(tmp_path.rglob("big.bin*"))


def test_a_captive_portals_page_is_not_taken_for_the_settings(peer: Peer, tmp_path: Path) -> None:
    peer.files["/config.json"] = b"<html>Please log in</html>"
    with pytest.raises(WeightsError, match="no JSON"):
        fetch(tmp_path, peer.release)
    assert not list(tmp_path.rglob("config.json*"))
    peer.files["/config.json"] = SMALL
    fetch(tmp_path, peer.release)
    (tmp_path / "model/config.json").write_bytes(b"\xff<html>")
    with pytest.raises(WeightsError, match="no JSON"):
        verify(tmp_path, peer.release)


def test_an_answer_that_is_not_http_is_one_clear_error(tmp_path: Path) -> None:
    def babble(server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1024)
                    connection.sendall(b"220 this is another service\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=babble, args=(server,), daemon=True).start()
        wrong = WeightFile(PurePosixPath("x"), f"http://127.0.0.1:{server.getsockname()[1]}/x")
        with pytest.raises(WeightsError, match="cannot be read"):
            fetch(tmp_path, of(wrong))


def test_a_full_disk_is_said_at_once_and_the_rest_comes_later(peer: Peer, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
    try:
        with pytest.raises(WeightsError, match=r"big.bin.part cannot be written: File too large"):
            fetch(tmp_path, peer.release)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(peer.asked) == 1
    fetch(tmp_path, peer.release)
    assert peer.asked[1] == "/big.bin bytes=1500000-"


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    nobody = WeightFile(PurePosixPath("x"), "http://127.0.0.1:9/x")
    with pytest.raises(WeightsError, match="cannot be read"):
        fetch(tmp_path, of(nobody))


@pytest.mark.parametrize(
    ("release", "lacks"),
    [
        (music_weights.RELEASE, "ace_step_transformer/config.json"),
        (lyrics_weights.RELEASE, "model.safetensors.index.json"),
    ],
)
def test_verify_says_what_is_missing_and_what_to_run(
    release: Release, lacks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(release, ["verify", str(tmp_path)]) == 1
    line = capsys.readouterr().err
    assert lacks in line
    assert f"{release.command} fetch {tmp_path}" in line
    assert line.count("\n") == 1


def test_files_that_the_release_itself_lists_are_fetched_and_belong_to_the_digest(
    peer: Peer, tmp_path: Path
) -> None:
    peer.files |= {
        f"/{name}": SMALL
        for name in ("config.json", "tokenizer_config.json", "tokenizer.json", "a.safetensors")
    }
    peer.files["/model.safetensors.index.json"] = (
        b'{"weight_map": {"x": "a.safetensors", "y": "a.safetensors"}}'
    )
    release = moved(lyrics_weights.RELEASE, peer.url)
    fetch(tmp_path, release)
    before = verify(tmp_path, release)
    (tmp_path / "a.safetensors").write_bytes(CONTENT)
    assert verify(tmp_path, release) != before
    (tmp_path / "a.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks a\.safetensors; run: python -m services\.lyrics\.weights"):
        verify(tmp_path, release)


@pytest.mark.parametrize(
    "index", ['{"weight_map": {"x": "../a.safetensors"}}', '{"weight_map": {"x": "a.bin"}}', '{"x": 1}', "{}"]
)
def test_an_index_that_names_pickles_or_other_folders_is_refused(index: str, tmp_path: Path) -> None:
    for file in lyrics_weights.RELEASE.files:
        (tmp_path / file.path).write_text(index)
    with pytest.raises(WeightsError, match=r"model\.safetensors\.index\.json names"):
        verify(tmp_path, lyrics_weights.RELEASE)


def test_a_branch_that_has_moved_on_is_not_the_release(peer: Peer, tmp_path: Path) -> None:
    peer.commit = "0123456789"
    file = WeightFile(PurePosixPath("config.json"), f"{peer.url}/config.json", commit="0123456")
    fetch(tmp_path / "right", of(file))
    peer.commit = "f" * 40
    with pytest.raises(WeightsError, match="has moved on to ffff"):
        fetch(tmp_path / "wrong", of(file))
    assert not list((tmp_path / "wrong").rglob("config.json"))


def moved(release: Release, url: str) -> Release:
    """The release as it is listed, served from elsewhere."""

    def there(file: WeightFile) -> WeightFile:
        return replace(file, url=f"{url}/{file.path}")

    return replace(
        release,
        files=tuple(map(there, release.files)),
        listed=lambda folder: tuple(map(there, release.listed(folder))),
    )


def test_a_file_changed_on_disk_is_found(peer: Peer, tmp_path: Path) -> None:
    fetch(tmp_path, peer.release)
    with (tmp_path / "model/big.bin").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match="not the released file"):
        verify(tmp_path, peer.release)


def test_the_digest_does_not_depend_on_order() -> None:
    assert digest_of({"a": "1" * 64, "b": "2" * 64}) == digest_of({"b": "2" * 64, "a": "1" * 64})
