"""Writes docs/configuration.md from the settings classes: `python -m docs.settings_table`."""

from pathlib import Path

from services.common.settings import ServiceSettings, describe
from services.gateway.settings import GatewaySettings
from services.lyrics.settings import LyricsSettings
from services.music.settings import MusicSettings
from services.signer.settings import SignerSettings

TARGET = Path(__file__).with_name("configuration.md")

HEAD = """# Configuration

Every service reads its settings from the environment, `<SERVICE>_<NAME>`. An unknown or invalid one stops
the start with one line. `python -m services.<service> --help` lists them too. This page is written by
`make docs`.

A secret may be a file instead of a variable: named as the setting in lower case (`gateway_url_keys`), in the
folder that `ACESTEPS_SECRETS_DIR` names. A variable of the same name wins.

Traces are configured by the standard `OTEL_*` variables; without `OTEL_EXPORTER_OTLP_ENDPOINT` none are sent
([observability](observability.md#traces)).
"""


def page() -> str:
    services: dict[str, type[ServiceSettings]] = {
        "gateway": GatewaySettings,
        "lyrics": LyricsSettings,
        "music": MusicSettings,
        "signer": SignerSettings,
    }
    common = {f"<SERVICE>_{name}": text for name, text in describe(ServiceSettings).items()}
    parts = [HEAD, _table("Every service", common)]
    shared = set(describe(ServiceSettings).values())
    for name, cls in services.items():
        own = {key: text for key, text in describe(cls).items() if text not in shared}
        parts.append(_table(name, own))
    return "\n".join(parts)


def _table(title: str, rows: dict[str, str]) -> str:
    lines = "\n".join(f"| `{key}` | {text.replace('|', chr(92) + '|')} |" for key, text in rows.items())
    return f"## {title}\n\n| setting | what it is |\n|---|---|\n{lines}\n"


if __name__ == "__main__":
    TARGET.write_text(page())
