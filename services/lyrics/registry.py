"""The engines that this service can run, by the name that LYRICS_ENGINE gives.

Imports an engine only when it is opened: nobody pays for the dependencies of another.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from services.common.server import StartError
from services.common.weights import WeightsError
from services.lyrics.engine import Engine
from services.lyrics.settings import LyricsSettings
from services.lyrics.weights import RELEASE


async def open_engine(
    settings: LyricsSettings, stack: AsyncExitStack, on_death: Callable[[], None]
) -> Engine:
    """An engine, loaded; `stack` closes it. Takes as long as that takes.

    `on_death` is called in the event loop, should the engine come to an end by itself.

    Raises:
        services.common.server.StartError: weights or packages that it needs are missing or of another kind.
    """
    if settings.engine == "builtin":
        from services.lyrics.builtin.engine import BuiltinEngine

        builtin = BuiltinEngine()
        stack.callback(builtin.close)
        await builtin.open()
        return builtin
    options, loop = settings.llama_options, asyncio.get_running_loop()
    try:
        RELEASE.in_folder(options.weights)  # before torch, which takes seconds
    except WeightsError as error:
        raise StartError(str(error)) from None

    def died() -> None:  # in the engine's thread
        loop.call_soon_threadsafe(on_death)

    try:
        from services.lyrics.llama.engine import LlamaEngine
        from services.lyrics.llama.options import CannotStart
    except ModuleNotFoundError as error:
        line = f"the engine llama needs {error.name}; run: pip install -r requirements/llama.txt"
        raise StartError(line) from error
    try:
        llama = await asyncio.to_thread(LlamaEngine.load, options, died)
    except CannotStart as error:
        raise StartError(str(error)) from error
    stack.callback(llama.close)
    return llama
