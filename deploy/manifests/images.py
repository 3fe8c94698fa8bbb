"""Which images run, and what a container asks of a node.

Knows tags and digests; whether an image exists only a registry knows.
"""

import re
from collections.abc import Iterator

from deploy.manifests.finding import Finding
from deploy.manifests.objects import Container, Pod, Render, at, listed

PRODUCTION = "overlays/production"
_DIGEST = re.compile(r"^.+@sha256:[0-9a-f]{64}$")
# A release says at least major and minor; a commit is its hash. `latest`, `17` or `main` move.
_TAG = re.compile(r"^(v?\d+\.\d+[\w.+-]*|[0-9a-f]{7,40}|sha-[0-9a-f]{7,40})$")
GPU = "nvidia.com/gpu"


def check(render: Render) -> Iterator[Finding]:
    for container in render.containers:
        yield from _image(container, "image", str(container.spec.get("image", "")))
        yield from _resources(container)
    for pod in render.pods:
        for index, volume in enumerate(listed(pod.spec, "volumes")):
            if "emptyDir" in volume and not at(volume, "emptyDir", "sizeLimit"):
                path = f"spec.volumes[{index}].emptyDir.sizeLimit"
                yield pod.find(path, "is missing", "a limit: a pod else fills the node's disk")
            if "image" in volume:
                path = f"spec.volumes[{index}].image.reference"
                yield from _image(pod, path, str(at(volume, "image", "reference") or ""))


def name_of(image: str) -> str:
    """The image without tag and digest: `registry:5000/acesteps/music-sketch`."""
    return re.sub(r":[^/:]*$", "", image.split("@")[0])


def _image(place: Container | Pod, path: str, image: str) -> Iterator[Finding]:
    tag = image.removeprefix(name_of(image)).removeprefix(":")
    if _DIGEST.match(image):
        return
    render = place.pod.render if isinstance(place, Container) else place.render
    if render.name == PRODUCTION or "@" in image:
        yield place.find(path, f"{image} is not named by a digest", "…@sha256: and 64 hexadecimal digits")
    elif not _TAG.match(tag):
        yield place.find(path, f"{image} floats", "a tag that stays, such as 1.4.2, or a digest")


def _resources(container: Container) -> Iterator[Finding]:
    requests, limits = (at(container.spec, "resources", kind) or {} for kind in ("requests", "limits"))
    for field in ("cpu", "memory"):
        if field not in requests:
            yield container.find(f"resources.requests.{field}", "is missing", "what was measured")
    if "memory" in requests and "memory" in limits and requests["memory"] != limits["memory"]:
        told = f"is {requests['memory']}, and the limit is {limits['memory']}"
        yield container.find("resources.requests.memory", told, "the same: what is promised is kept free")
    if "memory" not in limits:
        yield container.find("resources.limits.memory", "is missing", "a limit: a leak else takes the node")
    if GPU in requests and requests[GPU] != limits.get(GPU):
        yield container.find(
            f"resources.limits[{GPU}]", f"is {limits.get(GPU)}", f"as in requests, {requests[GPU]}"
        )
