"""How the four services run on one laptop: their commands, their settings, and when they are ready.

Knows the settings that the services define; starts nothing.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from acesteps.music.v1 import music_service_pb2, music_service_pb2_grpc
from deploy.local.ports import LOOPBACK
from deploy.local.processes import Command

HEALTH_TIMEOUT_S = 1.0
DESCRIBE_TIMEOUT_S = 5.0
# A laptop's user who says stop does not wait for a song.
DRAIN_GRACE_S = 5.0
KILL_AFTER_S = 10.0
# A service that has just come back is seen at once, not after gRPC's usual second.
CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_http_proxy", 0),
]


@dataclass(frozen=True)
class Engine:
    """What a music pod says of itself."""

    name: str
    weights_digest: str
    attestation_key_id: str
    tasks: tuple[str, ...]


class Readiness:
    """Asks a service's health endpoint for the name "readiness"."""

    def __init__(self, port: int) -> None:
        channel = grpc.insecure_channel(f"{LOOPBACK}:{port}", options=CHANNEL_OPTIONS)
        self._check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

    def __call__(self, pid: int) -> bool:
        try:
            answer = self._check(health_pb2.HealthCheckRequest(service="readiness"), timeout=HEALTH_TIMEOUT_S)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def service_command(
    name: str, port: int, settings: Mapping[str, object], log_file: Path, inherit: Sequence[int]
) -> Command:
    """`python -m services.<name>` listening on `port`. The names in `settings` are without their prefix."""
    own = {
        "GRPC_HOST": LOOPBACK,
        "GRPC_PORT": port,
        "DRAIN_GRACE_S": DRAIN_GRACE_S,
        **settings,
    }
    return Command(
        name=name,
        argv=[sys.executable, "-m", f"services.{name}"],
        environment={
            **{key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ},
            # Traces go where the caller's would: OTEL_EXPORTER_OTLP_ENDPOINT and what belongs to it.
            **{key: value for key, value in os.environ.items() if key.startswith("OTEL_")},
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            **{f"{name.upper()}_{key}": str(value) for key, value in own.items()},
        },
        log_file=log_file,
        # Nobody is left to drain for, and its database ends with it; what it was doing is fenced.
        death_signal=signal.SIGKILL,
        is_ready=Readiness(port),
        grace_s=KILL_AFTER_S,
        inherit=inherit,
    )


def describe_engine(port: int) -> Engine:
    """Asks the music pod which engine it runs and with which key it attests. Raises grpc.RpcError."""
    with grpc.insecure_channel(f"{LOOPBACK}:{port}", options=CHANNEL_OPTIONS) as channel:
        stub = music_service_pb2_grpc.MusicServiceStub(channel)
        answer = stub.DescribeEngine(music_service_pb2.DescribeEngineRequest(), timeout=DESCRIBE_TIMEOUT_S)
    return Engine(answer.engine, answer.weights_digest, answer.attestation_key_id, tuple(answer.tasks))
