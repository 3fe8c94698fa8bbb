"""What the model is asked: a brief and its plan, in words.

Knows the wording. Chat tokens are the tokenizer's.
"""

from collections.abc import Iterable, Sequence

from services.lyrics.engine import FREE, Brief, SectionPlan

# Of what is said below, what no song says of its own: a line with it is an echo.
ECHOES = ("lyrics only", "rhyme scheme", "songwriter", "syllables per line", "syllables a line")
ANSWER = "Title:"  # the answer goes on from here

_SYSTEM = (
    "You are a songwriter. You write lyrics that can be sung: concrete images, natural stress, "
    "rhymes at the ends of lines, no clichés. You answer with the title and the lyrics only."
)
_MOST_AVOIDED = 20  # in the prompt; all of them are kept out of the lines
_LANGUAGES = {
    "en": "English", "de": "German", "fr": "French", "it": "Italian", "pt": "Portuguese", "hi": "Hindi",
    "es": "Spanish", "th": "Thai",
}  # fmt: skip
# What the base model's card names.
LANGUAGES = frozenset(_LANGUAGES)


def messages(brief: Brief, sections: Sequence[SectionPlan]) -> list[dict[str, str]]:
    """System and user message for a brief; `sections` are those to write, in song order."""
    said = [f"Write the lyrics of a song about: {brief.theme}"]
    said += [f"{name}: {value}" for name, value in (("Genre", brief.genre), ("Mood", brief.mood)) if value]
    said.append(f"Language: {_LANGUAGES[brief.language]}")
    if brief.tempo_bpm:
        said.append(f"Tempo: {brief.tempo_bpm:g} BPM")
    if brief.syllables:
        least, most = brief.syllables
        said.append(f"Length of each line: {least} to {most} syllables")
    if brief.required_words:
        said.append(f"Sing these words: {', '.join(brief.required_words)}")
    if brief.avoided_words:
        said.append(f"Never use: {', '.join(brief.avoided_words[:_MOST_AVOIDED])}")
    if brief.clean:
        said.append("No profanity.")
    said.append("Sections, each under its heading in brackets, with exactly as many lines:")
    said += _sections(sections)
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _untokened("\n".join(said))}]


def heading(section: SectionPlan) -> str:
    """What stands above a section: "[Verse 2]"."""
    return _untokened(f"[{section.label or section.tag.display}]")


def _untokened(text: str) -> str:
    """Text in which nobody can end their turn: no "<|eot_id|>" of the brief's own."""
    return text.replace("<|", "< |")


def _sections(sections: Iterable[SectionPlan]) -> Iterable[str]:
    for section in sections:
        scheme = section.rhyme_scheme
        rhymed = "" if not scheme else ", unrhymed" if scheme == FREE else f", rhymed {scheme}"
        yield f"{heading(section)} {section.lines} {'line' if section.lines == 1 else 'lines'}{rhymed}"
