"""Commands about words and prompts: lyrics, review."""

from argparse import Namespace

from acesteps.cli.session import CommandFailed, Session, text_of
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb


def lyrics(session: Session, asked: Namespace) -> None:
    """A section is shown as soon as it is final."""
    brief = lyrics_pb.GenerateLyricsRequest(
        theme=asked.theme,
        genre=asked.genre,
        mood=asked.mood,
        language=asked.language,
        duration_s=asked.duration,
        seed=asked.seed,
    )
    shown = 0
    with session.client() as client:
        for event in client.write_lyrics(brief):
            if session.screen.as_json:
                session.screen.data(event)
            elif event.HasField("section"):
                session.screen.section(event.section.section)
                shown += 1
            elif event.HasField("result"):
                for section in event.result.document.sections[shown:]:
                    session.screen.section(section)


def review(session: Session, asked: Namespace) -> None:
    """Of a prompt or, with --lyrics, of words. What is refused ends with status 1."""
    if bool(asked.prompt) == bool(asked.lyrics):
        raise ValueError("give either a prompt or --lyrics")
    passed = _review_words(session, asked) if asked.lyrics else _review_prompt(session, asked)
    if not passed:
        raise CommandFailed("the review refuses this")


def _review_prompt(session: Session, asked: Namespace) -> bool:
    with session.client() as client:
        answer = client.review(asked.prompt)
    if session.screen.as_json:
        session.screen.data(answer)
    for finding in answer.findings if not session.screen.as_json else ():
        session.screen.line(f"{'refused' if finding.refuses else 'advice'}: {finding.message}")
    return answer.allowed


def _review_words(session: Session, asked: Namespace) -> bool:
    request = lyrics_pb.ReviewLyricsRequest(text=text_of(asked.lyrics), language=asked.language)
    with session.client() as client:
        answer = client.review_lyrics(request)
    if session.screen.as_json:
        session.screen.data(answer)
        return answer.review.passed
    for score in answer.review.scores:
        session.screen.line(f"{score.name}: {f'{score.value:.2f}' if score.assessed else score.reason}")
    for finding in answer.review.findings:
        session.screen.line(f"{'refused' if finding.gate else 'advice'}: {finding.message}")
    return answer.review.passed
