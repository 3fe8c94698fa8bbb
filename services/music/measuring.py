"""What Prometheus sees of the music service, besides the calls that every service counts."""

from prometheus_client import Counter, Gauge, Histogram

# ok, cancelled, or the error's reason in lower case
SONGS = Counter("acesteps_music_songs_total", "Songs asked for, by how they ended.", ("outcome",))
FIRST_AUDIO_S = Histogram(
    "acesteps_music_first_audio_seconds",
    "From the spec's arrival to the first audio chunk.",
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
REAL_TIME_FACTOR = Histogram(
    "acesteps_music_real_time_factor",
    "Seconds of audio per second of rendering, encoding included; of songs from nothing, not of edits.",
    buckets=(0.5, 1, 2, 5, 10, 15, 20, 30, 50, 100, 200),
)
SLOTS_BUSY = Gauge("acesteps_music_slots_busy", "Slots that make a song now.")
GPU_MEMORY_BYTES = Gauge(
    "acesteps_music_gpu_memory_bytes",
    "Of the accelerator: allocated by tensors, reserved by the engine process for them, total of the device."
    " Without an accelerator there is none.",
    ("kind",),
)
ENGINE_RESTARTS = Counter("acesteps_music_engine_restarts_total", "Times the engine process ended unasked.")
