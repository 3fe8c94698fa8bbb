"""Stores one large object after another until it is killed: `python object_writer.py DSN URL`."""

import asyncio
import hashlib
import os
import sys

from services.gateway.database import open_database
from services.gateway.objects import Objects

OBJECT_BYTES = 16 << 20


async def write(dsn: str, url: str) -> None:
    async with open_database(dsn, connections=2) as database:
        objects = Objects.open(url, database, grace_s=3600.0)
        print("writing", flush=True)
        while True:
            data = os.urandom(OBJECT_BYTES)
            await objects.put(data, hashlib.sha256(data).digest())


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:]))
