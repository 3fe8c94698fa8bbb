"""The engines that this service can run, by the name that MUSIC_ENGINE gives.

Imports an engine only when it is opened: nobody pays for the dependencies of another.
"""

from services.music.engine import Engine

ENGINES = ("sketch",)


def open_engine(name: str) -> Engine:
    """An engine, loaded and warm. Takes as long as that takes; raises ValueError for an unknown name."""
    if name == "sketch":
        from services.music.sketch.engine import SketchEngine

        engine = SketchEngine()
        engine.warm_up()
        return engine
    raise ValueError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
