"""What the lyrics service counts, beside what the interceptor counts for every call."""

from prometheus_client import Counter, Gauge, Histogram

SONGS = Counter(
    "acesteps_lyrics_songs_total", "Songs asked for, by engine and how they ended.", ("engine", "outcome")
)
LINES = Counter("acesteps_lyrics_lines_total", "Lines written.", ("engine",))
SLOTS_BUSY = Gauge("acesteps_lyrics_slots_busy", "Songs being written or waiting for it.")
SECONDS = Histogram(
    "acesteps_lyrics_writing_seconds",
    "From the order to the finished document.",
    ("engine",),
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
SCORE = Histogram(
    "acesteps_lyrics_review_score",
    "Review scores, by who wrote the lyrics.",
    ("engine",),
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
