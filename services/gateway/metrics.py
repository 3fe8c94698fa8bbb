"""What the gateway counts. Knows names and buckets only; RPC metrics come from services.common.

What is read from the database is the same at every replica: take `max()` of it, never `sum()`.
"""

from prometheus_client import Counter, Gauge, Histogram

QUEUED = Gauge("acesteps_gateway_queue_depth", "Songs that wait. The same at every replica: take max().")
RUNNING = Gauge(
    "acesteps_gateway_songs_running",
    "Songs in the making, anywhere. The same at every replica: take max().",
)
OLDEST_QUEUED_S = Gauge(
    "acesteps_gateway_queue_oldest_seconds",
    "How long the song that has waited longest could have been run. The same at every replica: take max().",
)
ATTEMPTS = Counter(
    "acesteps_gateway_attempts_total",
    "Attempts ended here, by outcome: succeeded; failed, and the song for good; retried; given_back,"
    " uncounted; lost, as cancelled or taken by another; reaped, as its worker went silent.",
    ("outcome",),
)
DATABASE_UP = Gauge("acesteps_gateway_database_up", "1 while this replica can read the queue, else 0.")
FIRST_AUDIO_S = Histogram(
    "acesteps_gateway_first_audio_seconds",
    "From a song's creation to its first audio in the database.",
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 15, 20, 30, 45, 60, 120, 300),
)
SONG_S = Histogram(
    "acesteps_gateway_song_seconds",
    "From a song's creation to its success.",
    buckets=(0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800),
)
LISTENERS = Gauge("acesteps_gateway_listeners", "Open audio streams.", ("face",))
HTTP_REQUESTS = Counter(
    "acesteps_gateway_http_requests_total",
    "HTTP requests by the status of their answer; 499: the client left before there was one.",
    ("method", "route", "status"),
)
HTTP_SECONDS = Histogram(
    "acesteps_gateway_http_request_seconds",
    "From an HTTP request to the last byte of its answer; to the head only where that is audio or server-sent"
    " events, which last as long as somebody listens.",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
FAILURES = Counter(
    "acesteps_gateway_attempt_failures_total",
    "Attempts that ended in an error, by reason; LEASE_EXPIRED: the worker went silent and was reaped here.",
    ("reason",),
)
WAITED_S = Histogram(
    "acesteps_gateway_queue_wait_seconds",
    "From a song's creation to its first claim.",
    buckets=(0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
PODS = Gauge("acesteps_gateway_pods_ready", "Music pods that this replica finds ready.")
FREE_SLOTS = Gauge("acesteps_gateway_pod_slots_free", "Slots of theirs that this replica thinks free.")
SWEPT = Counter("acesteps_gateway_objects_swept_total", "Objects that nothing named, taken away.")
DELIVERIES = Counter(
    "acesteps_gateway_webhook_deliveries_total", "Attempts at webhooks ended here, by outcome.", ("outcome",)
)
MINTS = Counter(
    "acesteps_gateway_mints_total",
    "Songs whose token was seen here: pending, minted, or taken back by the chain.",
    ("state",),
)
CHAIN_LAG = Gauge("acesteps_gateway_chain_lag_blocks", "Confirmed blocks that this replica has yet to read.")
CHAIN_READ_AT = Gauge(
    "acesteps_gateway_chain_read_timestamp_seconds",
    "When this replica last had read all there was of the chain.",
)
PINS = Counter(
    "acesteps_gateway_remote_pins_total", "Answers of other places that pin, by state.", ("place", "state")
)

# There from the start, at 0: what Prometheus first sees at 1 is no increase to it.
for _outcome in ("succeeded", "given_back", "retried", "failed", "lost"):
    ATTEMPTS.labels(_outcome)
for _outcome in ("delivered", "retried", "failed"):
    DELIVERIES.labels(_outcome)
for _state in ("pending", "minted", "taken_back"):
    MINTS.labels(_state)
