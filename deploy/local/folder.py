"""The folder where one mesh keeps what lasts, and the locks by which one stack at a time has it.

Knows names of files; reads and writes nothing but the locks.
"""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from deploy.local.processes import Report

# How long the processes of a killed stack may take to end: the kernel has told them to.
LEFTOVERS_PATIENCE_S = 20.0


class FolderError(RuntimeError):
    """Somebody else uses the folder; says who and what to do."""


@dataclass(frozen=True)
class Folder:
    """Where things are below `root`."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def chain(self) -> Path:
        return self.root / "chain"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def trust_bundle(self) -> Path:
        return self.root / "trust" / "bundle.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def trust_state(self, service: str) -> Path:
        """Where a service remembers the highest version of the bundle that it has seen."""
        return self.root / "trust" / f"{service}.json"

    def log(self, service: str) -> Path:
        return self.logs / f"{service}.log"


class Occupancy:
    """The right to a folder: one lock of this process, one that every child inherits."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._files: list[TextIO] = []

    def take(self, report: Report) -> int:
        """Takes the folder, waiting for the processes of a stack that was killed to end.

        Returns a file descriptor for every child to inherit: the folder is free when the last has gone.
        Raises FolderError.
        """
        for made in (self._folder.logs, self._folder.trust_bundle.parent):
            made.mkdir(parents=True, exist_ok=True)
        owner = self._open("stack.lock")
        if not _lock(owner):
            owner.seek(0)
            raise FolderError(
                f"another stack, process {owner.read().strip()}, runs on {self._folder.root}: "
                "choose another folder with DATA_DIR"
            )
        owner.truncate(0)
        owner.write(f"{os.getpid()}\n")
        owner.flush()
        children = self._open("children.lock")
        deadline = time.monotonic() + LEFTOVERS_PATIENCE_S
        told = False
        while not _lock(children):
            if not told:
                report("waiting for the processes of a killed stack to end")
                told = True
            if time.monotonic() > deadline:
                root = self._folder.root
                raise FolderError(f"processes of a killed stack still use {root}: end them first")
            time.sleep(0.1)
        return children.fileno()

    def release(self) -> None:
        while self._files:
            self._files.pop().close()

    def _open(self, name: str) -> TextIO:
        file = (self._folder.root / name).open("a+")
        self._files.append(file)
        return file


def _lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
