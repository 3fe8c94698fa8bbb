"""What the signer counts. Labels are verdicts and reasons, never who asked for which song."""

from prometheus_client import Counter, Gauge, Histogram

PERMITS = Counter(
    "acesteps_signer_permits_total",
    "Requests for a permit, by verdict (permitted, repeated, refused) and the reason of a refusal.",
    ("verdict", "reason"),
)
PERMIT_SECONDS = Histogram(
    "acesteps_signer_permit_seconds",
    "From a request to its verdict, by verdict, audit included.",
    ("verdict",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
SIGN_SECONDS = Histogram(
    "acesteps_signer_sign_seconds",
    "From digest to checked signature.",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
LEDGER_UP = Gauge("acesteps_signer_ledger_up", "1 while the ledger can be written, else 0.")
PAUSED = Gauge("acesteps_signer_paused", "1 while an operator has paused signing, else 0; a second late.")

# There from the start, at 0: what Prometheus first sees at 1 is no increase to it.
for _verdict in ("permitted", "repeated"):
    PERMITS.labels(_verdict, "")
for _reason in ("INTERNAL", "KEY_UNAVAILABLE", "LEDGER_UNAVAILABLE"):
    PERMITS.labels("refused", _reason)
