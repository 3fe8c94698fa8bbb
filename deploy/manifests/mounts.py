"""Whether the files and folders that settings name are mounted, and whether what is mounted is read.

Knows paths and keys, not contents. What the image holds (/app) needs no mount.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from deploy.manifests.environment import Running
from deploy.manifests.finding import Finding
from deploy.manifests.objects import at, listed
from deploy.manifests.volumes import There, files_of, is_below, mount_of, volume_of

APP = PurePosixPath("/app")
OTHERS_READ = 0o004
# Written to by the service.
STATE = ("trust_state_file",)


def check(running: list[Running], there: There) -> Iterator[Finding]:
    for one in running:
        for field, path, is_written in _paths(one):
            yield from _path(one, field, path, is_written, there)
        yield from _unread(one)
        yield from _modes(one)


def _paths(one: Running) -> Iterator[tuple[str, PurePosixPath, bool]]:
    """Setting, path, whether the service writes there."""
    for field in type(one.settings).model_fields:
        value = getattr(one.settings, field)
        if isinstance(value, Path):
            path = PurePosixPath(value)
            # Relative to where the image starts.
            yield field, path if path.is_absolute() else APP / path, field in STATE
        elif isinstance(value, str) and value.startswith("file:///"):
            yield field, PurePosixPath(value.removeprefix("file://")), True


def _path(one: Running, field: str, path: PurePosixPath, is_written: bool, there: There) -> Iterator[Finding]:
    mount = mount_of(one.container, path)
    name = one.setting(field)
    if mount is None:
        if is_written or not is_below(path, APP):
            yield one.container.find(
                "volumeMounts", f"{name} is {path}, where nothing is mounted", "a mount there"
            )
        return
    index, spec = mount
    volume = volume_of(one.container, spec)
    if is_written and (spec.get("readOnly") or "secret" in volume or "configMap" in volume):
        yield one.container.find(
            f"volumeMounts[{index}]", f"{name}, {path}, cannot be written", "a volume that is written to"
        )
    # What has no source is an emptyDir too.
    is_empty = "emptyDir" in volume or not volume.keys() - {"name"}
    if is_empty and not is_written and not _is_filled(one, str(spec.get("name"))):
        told = f"{name} is {path}, in an emptyDir that nothing fills"
        yield one.container.find(f"volumeMounts[{index}]", told, "a volume that has it")
    within = path.relative_to(PurePosixPath(spec.get("mountPath", "/")))
    files = files_of(volume, there)
    if files is not None and not spec.get("subPath") and str(within) not in files | {"."}:
        told = f"{name} is {path}, and the volume {spec.get('name')} has no file {within}"
        yield one.container.find(f"volumeMounts[{index}]", told, ", ".join(sorted(files)))


def _is_filled(one: Running, volume: str) -> bool:
    """Whether another container of the pod mounts it."""
    return any(
        mount.get("name") == volume
        for container in one.container.pod.containers
        if container.path != one.container.path
        for mount in listed(container.spec, "volumeMounts")
    )


def _modes(one: Running) -> Iterator[Finding]:
    """Files that belong to root, and volumes that are root's, need the group that fsGroup gives."""
    if at(one.container.pod.spec, "securityContext", "fsGroup") is not None:
        return
    for index, volume in enumerate(listed(one.container.pod.spec, "volumes")):
        for kind in ("secret", "configMap", "projected"):
            mode = at(volume, kind, "defaultMode")
            if isinstance(mode, int) and not mode & OTHERS_READ:
                told = f"without fsGroup only root reads files of mode {mode:04o}"
                yield one.container.pod.find(f"spec.volumes[{index}].{kind}.defaultMode", told, "fsGroup")
        if "persistentVolumeClaim" in volume:
            told = "without fsGroup the volume is root's"
            yield one.container.pod.find(f"spec.volumes[{index}].persistentVolumeClaim", told, "fsGroup")


def _unread(one: Running) -> Iterator[Finding]:
    """Secrets, ConfigMaps and claims that no setting leads to; and files that would never be renewed."""
    read = [path for _, path, _ in _paths(one)]
    texts = [*one.container.words, *(variable.value for variable in one.variables)]
    for index, mount in enumerate(listed(one.container.spec, "volumeMounts")):
        volume, at_ = volume_of(one.container, mount), str(mount.get("mountPath", ""))
        if not volume.keys() & {"secret", "configMap", "projected", "persistentVolumeClaim", "image"}:
            continue
        if mount.get("subPath") and volume.keys() & {"secret", "configMap", "projected"}:
            told = "a file mounted by subPath is never renewed"
            yield one.container.find(f"volumeMounts[{index}].subPath", told, "the folder mounted as a whole")
        if not any(is_below(path, PurePosixPath(at_)) for path in read) and not any(
            at_ in text for text in texts
        ):
            yield one.container.find(
                f"volumeMounts[{index}]", f"no setting leads to {at_}", "a setting, or no mount"
            )
