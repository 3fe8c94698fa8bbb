"""What goes into a build, and what every image has in common."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.docker.build import NotAReleaseError, check_release
from deploy.docker.images import BASES_FILE, FOLDER, IMAGES, ROOT, Image, build_command, read_bases, unpinned
from services.common.settings import ServiceSettings
from services.gateway.settings import GatewaySettings
from services.lyrics.settings import LyricsSettings
from services.music.settings import MusicSettings
from services.signer.settings import SignerSettings
from tests.docker.dockerfile import exec_form, read
from tests.docker.dockerignore import Dockerignore

SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "lyrics": LyricsSettings,
    "music": MusicSettings,
    "signer": SignerSettings,
}
IGNORE = Dockerignore((ROOT / ".dockerignore").read_text())
PINNED = "python:3.11-slim@sha256:" + "0" * 64

each_image = pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)


def tracked(*folders: str) -> list[str]:
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", *folders)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".env",
        "node_modules/solc/soljson.js",
        "var/stack/keys/pod.pem",
        "out/song.mp3",
        "build/contracts/SongNFT.json",
        "deploy/docker/.env",
        "tests/conftest.py",
        "keystore.json",
        "requirements/dev.txt",
        "services/.env",
        "services/gateway/.env.production",
        "services/gateway/tls.key",
        "services/gateway/__pycache__/service.cpython-311.pyc",
        "services/music/pod.pem",
        "services/music/weights/model.safetensors",
        "services/signer/keystore.json",
        "services/signer/keys/eip712-keystore.json",
        "services/signer/eip712.password",
    ],
)
def test_what_is_secret_heavy_or_made_does_not_get_into_a_build(path: str) -> None:
    assert not IGNORE.lets_in(path)


def test_everything_that_a_service_is_made_of_gets_into_a_build() -> None:
    files = tracked("services", "protos", "contracts/src")
    assert len(files) > 300
    assert [path for path in files if not IGNORE.lets_in(path)] == []


@each_image
def test_what_a_dockerfile_copies_is_there_and_gets_in(image: Image) -> None:
    for stage in read(image.dockerfile).stages:
        for sources, _ in stage.copies():
            for source in sources:
                assert (ROOT / source).exists(), source
                assert IGNORE.lets_in(source), source


@each_image
def test_the_code_that_is_copied_starts_with_nothing_else_of_this_folder(
    image: Image, tmp_path: Path
) -> None:
    for sources, target in read(image.dockerfile).stage("code").copies():
        for source in (source for source in sources if source != "protos"):
            name = target if (ROOT / source).is_dir() else f"{target}/{Path(source).name}"
            copied = tmp_path / name
            copied.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, copied)
    site = Path(pytest.__file__).parents[1]
    path = ":".join(map(str, (tmp_path, ROOT / "build" / "gen", site)))
    # -S: this environment's own paths lead into this folder
    command = (sys.executable, "-S", "-m", f"services.{image.service}", "--help")
    environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{image.service.upper()}_GRPC_PORT" in done.stdout


@each_image
def test_an_image_runs_its_service_as_nobody_special_and_hears_sigterm(image: Image) -> None:
    dockerfile = read(image.dockerfile)
    assert exec_form(dockerfile.last(image.target, "ENTRYPOINT")) == [
        "python",
        "-m",
        f"services.{image.service}",
    ]
    assert dockerfile.last(image.target, "USER") == "10001:10001"
    assert dockerfile.last(image.target, "STOPSIGNAL") == "SIGTERM"
    ports = {int(port) for port in dockerfile.last(image.target, "EXPOSE").split()}
    settings = SETTINGS[image.service].model_fields
    own = {settings[name].default for name in ("grpc_port", "http_port") if name in settings}
    assert ports == own | {8081, 9090}


@each_image
def test_an_image_says_what_it_is_made_of(image: Image) -> None:
    (label,) = read(image.dockerfile).stage(image.target).texts("LABEL")
    for name in ("title", "version", "revision", "source", "licenses", "base.name"):
        assert f"org.opencontainers.image.{name}=" in label
    assert 'acesteps.sbom="/app/sbom.json"' in label


@each_image
def test_a_dockerfile_and_the_list_of_bases_name_the_same(image: Image) -> None:
    arguments, bases = read(image.dockerfile).arguments, read_bases(BASES_FILE)
    assert arguments.items() <= bases.items()
    assert "PYTHON_IMAGE" in arguments


def test_the_dockerfiles_have_no_fault_that_hadolint_knows() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    files = sorted(FOLDER.glob("*.Dockerfile"))
    assert len(files) == 5
    done = subprocess.run((hadolint, *files), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_release_wants_bases_by_digest_a_committed_tree_and_its_source() -> None:
    pinned = {"PYTHON_IMAGE": PINNED}
    check_release(pinned, "", "https://git.example/acesteps")
    assert unpinned({**pinned, "NODE_IMAGE": "node:24@sha256:abc"}) == ["NODE_IMAGE"]
    with pytest.raises(NotAReleaseError, match=r"PYTHON_IMAGE.*@sha256"):
        check_release(read_bases(), "", "https://git.example/acesteps")
    with pytest.raises(NotAReleaseError, match="not committed"):
        check_release(pinned, " M services/x.py", "https://git.example/acesteps")
    with pytest.raises(NotAReleaseError, match="--source"):
        check_release(pinned, "", "unknown")


def test_a_build_is_given_only_arguments_that_its_dockerfile_declares() -> None:
    arguments = {"PYTHON_IMAGE": PINNED, "NODE_IMAGE": "node", "TORCH_INDEX_URL": "https://torch.example"}
    given = {image.name: " ".join(build_command("docker", image, "1", arguments)) for image in IMAGES}
    assert "NODE_IMAGE" in given["gateway"]
    assert "NODE_IMAGE" not in given["music-acestep"]
    assert "TORCH_INDEX_URL" in given["music-acestep"]
    assert "TORCH_INDEX_URL" not in given["signer"]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.Dockerfile")), ids=lambda file: file.stem)
def test_what_is_copied_with_a_mode_can_be_entered(file: Path) -> None:
    """The mode is that of folders too."""
    for line in file.read_text().splitlines():
        for word in line.split():
            if line.startswith("COPY") and word.startswith("--chmod="):
                assert int(word.removeprefix("--chmod="), 8) & 0o111 == 0o111, line
