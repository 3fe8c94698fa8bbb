"""A song's audio: heard while it is made, downloaded, drawn."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from acesteps.aio.calls import AsyncCalls, is_quiet
from acesteps.errors import AcestepsError, AudioMismatch
from acesteps.files import AudioPiece, Downloaded, PartFile
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.orders import AUDIO_FORMATS, TIMELINE_FILES, AudioFormat, TimelineFile


class AsyncAudio(AsyncCalls):
    """Every method raises AcestepsError."""

    async def listen(
        self,
        song_id: str = "",
        *,
        audio_format: AudioFormat = "mp3",
        offset: int = 0,
        attempt: int = 0,
        share_token: str = "",
    ) -> AsyncGenerator[AudioPiece, None]:
        """The song's audio from `offset` on, while it is made and after; goes on by itself where it broke.

        A piece at offset 0 in the middle means that the attempt which was heard has ended without a song
        and another one begins: drop what came before. Waits for a song that is still queued; WAV and FLAC
        are for songs that are done.

        Args:
            attempt: that `offset` counts in, where listening goes on
            share_token: instead of the song's id
        """
        position, total_bytes = offset, 0

        def request() -> pb.StreamAudioRequest:
            return pb.StreamAudioRequest(
                song_id=song_id,
                format=AUDIO_FORMATS[audio_format],
                offset=position,
                attempt=attempt,
                share_token=share_token,
            )

        def mend(error: AcestepsError) -> bool:
            nonlocal position, attempt
            if error.reason == "ATTEMPT_ENDED":
                position, attempt = 0, 0
            return is_quiet(error) or error.reason in ("ATTEMPT_ENDED", "LISTENER_TOO_SLOW")

        async with aclosing(self._follow(self._stub.StreamAudio, request, mend)) as answers:
            async for answer in answers:
                if answer.HasField("header"):
                    attempt, total_bytes = answer.header.attempt, answer.header.total_bytes
                else:
                    piece = AudioPiece(answer.data.data, answer.data.offset, attempt, total_bytes)
                    position = piece.offset + len(piece.data)
                    yield piece

    async def download(
        self,
        song_id: str,
        path: Path | str,
        *,
        audio_format: AudioFormat = "mp3",
        on_piece: Callable[[AudioPiece], None] = lambda piece: None,
    ) -> Downloaded:
        """Write the song's audio to `path`, also while it is made; the file appears whole or not at all.

        Until then the bytes are in `path` with ".part" behind its name. An MP3 is compared with the
        song's sha256. Raises AudioMismatch, and OSError where the file cannot be written.
        """
        with PartFile(Path(path)) as file:
            async with aclosing(self.listen(song_id, audio_format=audio_format)) as pieces:
                async for piece in pieces:
                    file.add(piece)
                    on_piece(piece)
            if audio_format == "mp3":
                answer = await self._call(self._stub.GetSong, pb.GetSongRequest(song_id=song_id))
                wanted = answer.song.audio.sha256
                if file.sha256 != wanted:
                    raise AudioMismatch(
                        "AUDIO_MISMATCH", f"the audio's sha256 is {file.sha256}, not {wanted}"
                    )
            return file.keep()

    async def sign_url(self, song_id: str, *, audio_format: AudioFormat = "mp3") -> pb.SignAudioUrlResponse:
        """A URL under which the audio can be heard for a while without an API key."""
        request = pb.SignAudioUrlRequest(song_id=song_id, format=AUDIO_FORMATS[audio_format])
        return await self._call(self._stub.SignAudioUrl, request)

    async def peaks(self, song_id: str, *, samples_per_pixel: int = 0) -> pb.GetPeaksResponse:
        """The waveform of a finished song, for players."""
        request = pb.GetPeaksRequest(song_id=song_id, samples_per_pixel=samples_per_pixel)
        return await self._call(self._stub.GetPeaks, request)

    async def spectrogram(
        self, song_id: str, *, width: int = 0, height: int = 0
    ) -> pb.GetSpectrogramResponse:
        """A PNG of a finished song's spectrum over time; width and height in pixels, 0 for the usual."""
        request = pb.GetSpectrogramRequest(song_id=song_id, width=width, height=height)
        return await self._call(self._stub.GetSpectrogram, request)

    async def timeline(self, song_id: str = "", *, share_token: str = "") -> music_pb.Timeline:
        """When what is heard in a finished song: sections, chords, every sung line and its syllables.

        Raises NotFound (TIMELINE_UNKNOWN) for a song whose engine told nothing of it.
        """
        request = pb.GetTimelineRequest(song_id=song_id, share_token=share_token)
        return (await self._call(self._stub.GetTimeline, request)).timeline

    async def timeline_file(
        self,
        song_id: str = "",
        *,
        file_format: TimelineFile = "lrc",
        words: bool = False,
        share_token: str = "",
    ) -> bytes:
        """The same as an LRC file, with `words` also of each word, or as a MIDI file of all parts."""
        request = pb.GetTimelineRequest(
            song_id=song_id, format=TIMELINE_FILES[file_format], words=words, share_token=share_token
        )
        return (await self._call(self._stub.GetTimeline, request)).file
