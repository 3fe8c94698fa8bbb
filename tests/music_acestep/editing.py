"""A pod of the tiny checkpoint that edits."""

from pathlib import Path

from services.common.weights import digest_in
from services.music.weights import RELEASE
from tests.music.pod import Pod
from tests.music_acestep.tiny_checkpoint import tiny_weights


def editing_pod(folder: Path, *, slots: int, steps: int) -> tuple[Pod, Path]:
    """A pod of the tiny checkpoint, not yet running, and where its trust bundle is to be."""
    bundle_file = folder / "bundle.json"
    settings = {
        "MUSIC_ENGINE": "acestep",
        "MUSIC_WEIGHTS": str(tiny_weights(folder / "weights")),
        "MUSIC_STEPS": str(steps),
        "MUSIC_TRUST_BUNDLE_FILE": str(bundle_file),
        "MUSIC_TRUST_STATE_FILE": str(folder / "seen.json"),
        "OMP_NUM_THREADS": "1",
    }
    return Pod(folder / "pod", slots=slots, settings=settings, start_patience_s=120), bundle_file


def pod_digest(folder: Path) -> str:
    """The digest of the weights of `editing_pod`'s pod."""
    return digest_in(folder / "weights", RELEASE)
