"""Which version of AceSteps this is, for metrics and traces. The same as in pyproject.toml."""

from prometheus_client import Gauge

VERSION = "0.1.0"

_BUILD = Gauge("acesteps_build_info", "1, with the version that the service runs.", ("service", "version"))


def declare_build(service: str) -> None:
    _BUILD.labels(service, VERSION).set(1)
