"""A song while a model writes it: which tokens are given, which places are open, what becomes final.

Knows lines and sections, and takes tokens one by one; knows no tensors. A line that is wrong is taken back
and drawn again; a section that is wrong is written again alone, with all before it as it stands.
"""

from collections.abc import Sequence

from services.common.errors import FailedPrecondition
from services.lyrics.document import Line, LyricDocument, Section, clean
from services.lyrics.engine import (
    FREE,
    Brief,
    Event,
    Finished,
    LineWritten,
    Planned,
    SectionPlan,
    SectionWritten,
)
from services.lyrics.llama import prompt
from services.lyrics.llama.vocabulary import Place, Vocabulary
from services.lyrics.llama.wording import STRUCTURE, as_read, has_word, problem

NAME = "llama"
# Draws of one line, then writings of one section, before the brief cannot be met.
LINE_TRIES, SECTION_TRIES = 8, 4
# Long enough for rap of 20 syllables; a line that goes on is closed, or drawn again where it is free.
MAX_LINE_CHARS, MAX_TITLE_CHARS = 110, 50
_QUOTES = " \"'*_“”‘’.,:;-–—"
_IN_PARTS = ("hi", "th")  # languages with characters of several tokens


class Draft:
    """`context` is the prompt and the song so far. What is new to tell a client stands in `events`.

    `constrained`: places are held by masks, so that every line is final when it ends. Else a section is
    final when it is whole, and may be written again before that.
    """

    def __init__(
        self,
        brief: Brief,
        plan: Sequence[SectionPlan],
        vocabulary: Vocabulary,
        *,
        constrained: bool,
        max_new_tokens: int,
    ) -> None:
        self.seed, self.draws, self.done = brief.seed, 0, False
        self.events: list[Event] = [Planned(sum(section.lines for section in plan))]
        self._brief, self._plan, self._vocabulary = brief, plan, vocabulary
        self._constrained, self._max_new_tokens = constrained, max_new_tokens
        self._written: list[Section] = []
        self._title = ""
        new = [s for s in plan if s.lines and s.same_as is None]
        self._lines_left = self._lines_new = sum(s.lines - (s.refrain_of is not None) for s in new)
        self.context = vocabulary.chat(prompt.messages(brief, new), prompt.ANSWER)
        self.prompt_tokens = len(self.context)
        self._kept = len(self.context)
        self._section_at = self._line_at = self._kept
        self._lines: list[str] = []
        self._line_tries, self._section_tries = 0, 0
        self._has_words, self._full = False, False
        self._given = 0  # tokens of the line that were not drawn

    @property
    def mask(self) -> int:
        """The row of the vocabulary's masks that is in force for the next token."""
        if self._full:
            place = Place.LINE_FULL
        elif self._given and len(self.context) == self._line_at + self._given:
            place = Place.AFTER_WORD
        elif not self._constrained and self._in_section:
            place = Place.FREE
        elif not self._has_words:
            place = Place.LINE_START
        else:
            last = self._in_section and len(self._lines) + 1 == self._section.lines
            place = Place.LAST_LINE if last else Place.IN_LINE
        return place + (len(Place) if self._brief.language in _IN_PARTS else 0)

    def take(self, token: int) -> int:
        """The next token. Returns how many tokens of the context are as they were before.

        Raises:
            FailedPrecondition: BRIEF_UNMET, after all tries.
        """
        self._kept = len(self.context)
        self.draws += 1
        if self.draws > self._max_new_tokens:
            self._give_up("duration_s", f"the song is not whole after {self._max_new_tokens} tokens")
        if token in self._vocabulary.end_tokens:
            self._again(STRUCTURE)
            return self._kept
        self.context.append(token)
        text = self._vocabulary.decode(self.context[self._line_at :])
        self._has_words = self._has_words or any(c.isalpha() for c in text)
        if "\n" in text:
            self._end_line(clean(text))
        else:
            longest = MAX_LINE_CHARS if self._in_section else MAX_TITLE_CHARS
            self._full = len(text) >= longest and self._has_words
        return self._kept

    @property
    def _in_section(self) -> bool:
        return bool(self._title)

    @property
    def _section(self) -> SectionPlan:
        return self._plan[len(self._written)]

    def _end_line(self, line: str) -> None:
        if not self._in_section:
            title = line.strip(_QUOTES)
            if field := problem(title, self._brief):
                self._redraw(field)
            else:
                self._title = title
                self._begin_section()
        elif not line:
            self._again(STRUCTURE)  # a section that ended before its time
        elif field := problem(read := as_read(line) or line, self._brief):
            self._redraw(field)
        else:
            self._accept(read)

    def _accept(self, line: str) -> None:
        self._lines.append(line)
        self._line_tries = 0
        self._lines_left -= 1
        if self._constrained:
            self._tell_line(len(self._lines) - 1)
        if self._section.refrain_of is not None and len(self._lines) + 1 == self._section.lines:
            self._add_refrain()
        if len(self._lines) == self._section.lines:
            self._end_section()
        else:
            self._begin_line()

    def _add_refrain(self) -> None:
        """The last line of an earlier section, given rather than drawn."""
        assert self._section.refrain_of is not None
        line = self._written[self._section.refrain_of].lines[-1].text
        self.context += self._vocabulary.encode(line + "\n")
        self._lines.append(line)
        if self._constrained:
            self._tell_line(len(self._lines) - 1)

    def _begin_section(self) -> None:
        """Goes on to the next section that has lines to write; what comes back or has no words is written."""
        while len(self._written) < len(self._plan):
            section = self._section
            if section.lines and section.same_as is None:
                break
            lines = self._written[section.same_as].lines if section.same_as is not None else ()
            self._lines = [line.text for line in lines]
            for index in range(len(self._lines)):
                self._tell_line(index)
            self._tell_section()
        else:
            self._finish()
            return
        self.context += self._vocabulary.encode(f"\n{prompt.heading(self._section)}\n")
        self._section_at, self._section_tries = len(self.context), 0
        if self._section.refrain_of is not None and self._section.lines == 1:
            self._add_refrain()
            self._end_section()
        else:
            self._begin_line()

    def _begin_line(self) -> None:
        """A line with no words yet but those that are due: required ones that no line has sung so far."""
        self._line_at = len(self.context)
        self._has_words, self._full, self._given = False, False, 0
        if due := self._due_words():
            start = ", ".join(due)
            self.context += self._vocabulary.encode(start[:1].upper() + start[1:])
            self._has_words, self._given = True, len(self.context) - self._line_at

    def _due_words(self) -> list[str]:
        words = self._brief.required_words
        done = self._lines_new - self._lines_left
        sung = [line.text for section in self._written for line in section.lines] + self._lines
        return [
            word
            for index, word in enumerate(words)
            # spread over the song; by then the model has had its chance
            if done >= (index + 1) * self._lines_new // len(words) - 1
            and not any(has_word(line, word) for line in sung)
        ]

    def _redraw(self, field: str) -> None:
        """Takes the line back; the next draw is another one."""
        self._line_tries += 1
        if self._line_tries >= LINE_TRIES:
            if not self._in_section:
                self._give_up(field, "the title came out wrong at every attempt")
            self._again(field)
            return
        self._back_to(self._line_at)

    def _again(self, field: str) -> None:
        """Takes the section back, where none of its lines is final yet."""
        self._section_tries += 1
        if self._constrained or not self._in_section or self._section_tries >= SECTION_TRIES:
            self._give_up(field, "a section came out wrong at every attempt")
        self._lines_left += len(self._lines)
        self._lines, self._line_tries = [], 0
        self._back_to(self._section_at)

    def _back_to(self, length: int) -> None:
        del self.context[length:]
        self._kept = min(self._kept, length)
        self._begin_line()

    def _end_section(self) -> None:
        if not self._constrained:
            for index in range(len(self._lines)):
                self._tell_line(index)
        self._tell_section()
        self._begin_section()

    def _tell_line(self, index: int) -> None:
        section = self._section
        at = len(self._written)
        self.events.append(LineWritten(at, section.tag, section.label, index, self._lines[index]))

    def _tell_section(self) -> None:
        plan = self._section
        scheme = "" if plan.rhyme_scheme == FREE or not self._lines else plan.rhyme_scheme
        section = Section(plan.tag, tuple(map(Line, self._lines)), plan.label, scheme)
        self.events.append(SectionWritten(len(self._written), section))
        self._written.append(section)
        self._lines = []

    def _finish(self) -> None:
        brief = self._brief
        document = LyricDocument(tuple(self._written), brief.language, self._title, NAME, brief.seed)
        self.events.append(Finished(document))
        self.done = True

    def _give_up(self, field: str, message: str) -> None:
        raise FailedPrecondition("BRIEF_UNMET", message, metadata={"field": field})
