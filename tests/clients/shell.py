"""The command line as a process."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

WITHIN_S = 30


class Shell:
    """Runs commands in a folder, as somebody whose home that is."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder = folder
        path = os.environ["PATH"]
        self.environment = {"PATH": path, "HOME": str(folder), "ACESTEPS_TARGET": target, "COLUMNS": "200"}

    async def start(self, *arguments: str | bytes, **options: Any) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "acesteps",
            *arguments,
            **{
                "cwd": self.folder,
                "env": self.environment,
                "stdin": asyncio.subprocess.DEVNULL,
                "stdout": asyncio.subprocess.PIPE,
                "stderr": asyncio.subprocess.PIPE,
            }
            | options,
        )

    async def run(self, *arguments: str | bytes, given: str = "") -> tuple[int, str, str]:
        """Status, stdout, stderr."""
        process = await self.start(*arguments, stdin=asyncio.subprocess.PIPE)
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate(given.encode())
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    async def ask(self, *arguments: str) -> Any:
        """The JSON of a command that has to go well."""
        status, out, err = await self.run(*arguments, "--json")
        assert status == 0, err
        return json.loads(out)
