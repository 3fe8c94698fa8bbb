"""What a container finds where: its mounts, the volumes behind them, and the files in those.

Knows paths and keys, not contents.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

from deploy.manifests.objects import Container, Object, at, listed

# The keys of a Secret or a ConfigMap; None: whichever.
Keys = frozenset[str] | None
There = Mapping[tuple[str, str], Keys]
"""Every object by kind and name, with its keys."""


def is_below(path: PurePosixPath, folder: PurePosixPath) -> bool:
    return path == folder or folder in path.parents


def mount_of(container: Container, path: PurePosixPath) -> tuple[int, Object] | None:
    """The innermost mount that holds a path, and its place in the list."""
    found = [
        (index, mount)
        for index, mount in enumerate(listed(container.spec, "volumeMounts"))
        if is_below(path, PurePosixPath(mount.get("mountPath", "")))
    ]
    return max(found, key=lambda item: len(str(item[1]["mountPath"])), default=None)


def volume_of(container: Container, mount: Object) -> Object:
    for volume in listed(container.pod.spec, "volumes"):
        if volume.get("name") == mount.get("name"):
            return dict(volume)
    return {}


def files_of(volume: Object, there: There) -> frozenset[str] | None:
    """The files of a volume of Secrets and ConfigMaps, where the manifests say them all."""
    files: set[str] = set()
    sources = [volume, *listed(volume, "projected", "sources")]
    for source in sources:
        for kind, object_kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
            if kind not in source:
                continue
            if items := listed(source, kind, "items"):
                files |= {str(item.get("path")) for item in items}
                continue
            name = at(source, kind, "secretName") or at(source, kind, "name") or ""
            keys = there.get((object_kind, name))
            if keys is None:
                return None
            files |= keys
    return frozenset(files) or None
