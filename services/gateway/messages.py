"""Rows as the protos' messages, for both faces. Knows no rule: only which column is which field."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.gateway.disclosure import is_procedural
from services.gateway.edits import kept_edit
from services.gateway.models import Place, Song, State
from services.gateway.review import Finding


def song_message(song: Song, place: Place | None = None) -> pb.Song:
    """`place`: of a song that waits, where it is known."""
    edit: Mapping[str, Any] = kept_edit(song.edit)
    message = pb.Song(
        id=str(song.id),
        state=pb.SongState.Value(f"SONG_STATE_{song.state}"),
        revision=song.revision,
        title=song.title,
        prompt=song.prompt,
        reveal_prompt=song.reveal_prompt,
        duration_s=song.duration_s,
        seed=song.seed,
        instrumental=song.instrumental,
        lyrics=lyrics_pb.LyricDocument.FromString(song.lyrics) if song.lyrics is not None else None,
        creator_address=song.creator_address,
        engine=song.engine,
        procedural=is_procedural(song.engine),
        progress=pb.SongProgress(stage=song.stage, step=song.step, steps=song.steps, eta_s=song.eta_s),
        attempt=song.attempt,
        create_time=timestamp(song.created_at),
        start_time=timestamp(song.started_at),
        first_audio_time=timestamp(song.first_audio_at),
        end_time=timestamp(song.ended_at),
        source_song_id=str(song.source_song_id or ""),
        sampling=music_pb.Sampling.FromString(song.sampling) if song.sampling is not None else None,
        favourite=song.favourite,
        hidden=song.hidden,
        share_token=song.share_token or "",
        batch_id=str(song.batch_id or ""),
        **edit,
    )
    if place is not None:
        message.progress.queue_position, message.progress.eta_s = place.position, place.eta_s
    if song.taken_down_at is not None:
        takedown = pb.Takedown(reason=song.takedown_reason, time=timestamp(song.taken_down_at))
        message.takedown.CopyFrom(takedown)
    if song.state is State.FAILED:
        message.failure.CopyFrom(pb.SongFailure(reason=song.failure_reason, message=song.failure_message))
    if song.state is State.SUCCEEDED:
        message.audio.CopyFrom(_audio(song))
        message.music.CopyFrom(_music(song))
    if song.saved_at is not None:
        message.save.CopyFrom(_save(song))
    if song.mint_state:
        message.mint.CopyFrom(_mint(song))
    return message


def _audio(song: Song) -> pb.SongAudio:
    return pb.SongAudio(
        media_type=song.media_type,
        bytes=song.audio_bytes,
        sha256=(song.audio_sha256 or b"").hex(),
        cid=song.audio_cid,
        pcm_sha256=(song.pcm_sha256 or b"").hex(),
        duration_s=song.audio_duration_s,
    )


def _music(song: Song) -> pb.MusicSummary:
    return pb.MusicSummary(
        genre=song.genre,
        mood=song.mood,
        tempo_bpm=song.tempo_bpm,
        key=song.musical_key,
        instruments=song.instruments,
    )


def _save(song: Song) -> pb.SongSave:
    return pb.SongSave(
        metadata_uri=ipfs_uri(song.metadata_cid),
        image_uri=ipfs_uri(song.image_cid),
        save_time=timestamp(song.saved_at),
        pin_state=pb.PinState.Value(f"PIN_STATE_{song.pin_state or 'UNSPECIFIED'}"),
    )


def _mint(song: Song) -> pb.SongMint:
    return pb.SongMint(
        state=pb.MintState.Value(f"MINT_STATE_{song.mint_state}"),
        chain_id=song.mint_chain_id,
        contract=song.mint_contract,
        token_id=f"0x{(song.audio_sha256 or b'').hex()}",
        owner=song.mint_owner,
        transaction=f"0x{(song.mint_transaction or b'').hex()}",
        block_number=song.mint_block,
        mint_time=timestamp(song.minted_at),
    )


def permit_message(song: Song) -> pb.Permit:
    """The permit of a saved song."""
    return pb.Permit(
        format=pb.PermitFormat.Value(f"PERMIT_FORMAT_{song.permit_format}"),
        signature=f"0x{(song.permit_signature or b'').hex()}",
        signer=song.permit_signer,
        deadline=timestamp(song.permit_deadline),
    )


def finding_message(finding: Finding) -> pb.ReviewFinding:
    return pb.ReviewFinding(
        rule=finding.rule,
        refuses=finding.refuses,
        message=finding.message,
        instead=finding.instead,
        field=finding.field,
    )


def ipfs_uri(cid: str) -> str:
    return f"ipfs://{cid}"


def timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
