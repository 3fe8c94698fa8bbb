"""Songs whose form is known: written for these tests but for traditional verses, and what is done to them."""

from dataclasses import replace

from services.lyrics.document import Line, LyricDocument, parse

# Traditional: "Auld Lang Syne" is Burns's; "The Water Is Wide" and "Shenandoah" have no author.
WATER_IS_WIDE = """[Verse 1]
The water is wide, I cannot get o'er
And neither have I wings to fly
O give me a boat that will carry two
And both shall row, my love and I

[Verse 2]
There is a ship and she sails the sea
She's loaded deep as deep can be
But not so deep as the love I'm in
I know not if I sink or swim"""

HARBOR = """[Verse 1]
I learned to read the water by the way it left the sand
My father sold the sailing boat and never bought the land
He kept a broken compass in the pocket of his coat
And every night he told me that a man is what he wrote

[Chorus]
So leave a window open when I go
The road is long, the river running slow
I carry nothing heavier than bread
And all the quiet things you never said

[Verse 2]
The postman brings a letter with a picture of a train
The corner of the paper has been folded by the rain
I read it at the table while the kettle starts to hum
And wonder what the people in the picture have become

[Chorus]
So leave a window open when I go
The road is long, the river running slow
I carry nothing heavier than bread
And all the quiet things you never said"""

STANZAS = {
    "AABB": "The lamp is low, the coffee cold\nThe story that I know is old\n"
    "You took the ladder from the tree\nAnd left the apples there for me",
    "ABAB": "The lamp is low, the coffee cold\nYou took the ladder from the tree\n"
    "The story that I know is old\nAnd left the apples there for me",
    "ABCB": "The lamp is low, the coffee black\nYou took the ladder from the tree\n"
    "The story that I know is old\nAnd left the apples there for me",
    "ABBA": "The lamp is low, the coffee cold\nYou took the ladder from the tree\n"
    "And left the apples there for me\nThe story that I know is old",
    "AAAA": "The lamp is low, the coffee cold\nThe story that I know is old\n"
    "The letters that I could not hold\nAre in the drawer that you sold",
}
FREE = (
    "The lamp is low beside the door\nYou took the ladder from the wall\n"
    "The letters are with my brother\nOutside"
)


def song(text: str, language: str = "en") -> LyricDocument:
    return LyricDocument(parse(text).sections, language)


def stanza(scheme: str, named: bool = False) -> LyricDocument:
    """A verse that follows a scheme; `named`: and says so."""
    document = song("[Verse]\n" + STANZAS[scheme])
    section = replace(document.sections[0], rhyme_scheme=scheme if named else "")
    return replace(document, sections=(section,))


def with_line(document: LyricDocument, section: int, line: int, text: str) -> LyricDocument:
    old = document.sections[section]
    lines = (*old.lines[:line], Line(text), *old.lines[line + 1 :])
    return with_lines(document, section, lines)


def with_lines(document: LyricDocument, section: int, lines: tuple[Line, ...]) -> LyricDocument:
    changed = replace(document.sections[section], lines=lines)
    sections = (*document.sections[:section], changed, *document.sections[section + 1 :])
    return replace(document, sections=sections)
