"""One signer for the whole folder, on a database of its own; tests use songs of their own."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from deploy.local.postgres import Database
from tests.signer.process import Client, Served, SignerProcess, write_files


@pytest.fixture(scope="session")
def served(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], Database]
) -> Iterator[Served]:
    """A running signer for the development chain, both formats on."""
    folder, database = tmp_path_factory.mktemp("signer"), new_database()
    settings = write_files(folder) | {"SIGNER_DATABASE_URL": database.signer_dsn}
    with SignerProcess(settings, folder / "log").running() as process:
        yield Served(process, database)


@pytest.fixture
async def signer(served: Served) -> AsyncIterator[Client]:
    async with served.process.client() as client:
        yield client
