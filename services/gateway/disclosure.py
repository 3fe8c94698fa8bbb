"""How a song came to be, in words for the files that are made of it here. By the engine's name alone."""

# They say everywhere that they are no AI.
PROCEDURAL_ENGINES = frozenset({"sketch"})


def is_procedural(engine: str) -> bool:
    return engine in PROCEDURAL_ENGINES


def named(engine: str) -> str:
    """The engine, and what it is where it is no AI."""
    return f"{engine} (procedural, not AI)" if is_procedural(engine) else engine


def sentence(engine: str) -> str:
    """As the pod writes it into the tags of its own files."""
    if is_procedural(engine):
        return f"This song was made by a procedural engine ({engine}), not by AI."
    return f"This song was made by AI (engine {engine})."
