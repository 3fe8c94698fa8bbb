"""`python -m services.signer.operate`: what operators ask of a running signer: list permits, pause, resume.

Speaks gRPC with the operator's own certificate and knows no database. Answers are lines of JSON. Exit status:
0 done, 1 refused or away, 2 the call is wrong.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from google.protobuf.json_format import MessageToDict

from acesteps.signer.v1 import signer_service_pb2 as pb
from acesteps.signer.v1 import signer_service_pb2_grpc as rpc
from services.common.channels import open_channel
from services.common.errors import error_from_rpc
from services.common.settings import ServiceSettings

TIMEOUT_S = 10.0
# As cert-manager's Secret is mounted.
FILES = {"cert": "tls.crt", "key": "tls.key", "ca": "ca.crt"}
VERDICTS = {name.removeprefix("VERDICT_").lower(): number for name, number in pb.Verdict.items() if number}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        asyncio.run(_run(arguments, _settings(arguments.tls)))
    except grpc.aio.AioRpcError as error:
        told = error_from_rpc(error)
        print(f"operate: {told.reason}: {told.message}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"operate: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.signer.operate", description=__doc__)
    target, tls = os.environ.get("SIGNER_TARGET", "signer:50053"), os.environ.get("OPERATOR_TLS_DIR", "")
    parser.add_argument("--target", default=target, metavar="HOST:PORT", help=f"default: {target}")
    parser.add_argument(
        "--tls",
        type=Path,
        default=Path(tls) if tls else None,
        metavar="DIR",
        help=f"folder of {', '.join(FILES.values())}: the operator's own (default: $OPERATOR_TLS_DIR)",
    )
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    pause = commands.add_parser("pause", help="sign nothing more, at no replica, until resumed")
    pause.add_argument("reason", help="for the audit and for who is refused; 1 to 200 characters")
    commands.add_parser("resume", help="sign again")
    permits = commands.add_parser("permits", help="who asked for what, the latest first")
    permits.add_argument("--verdict", choices=sorted(VERDICTS))
    permits.add_argument("--to", default="", metavar="ADDRESS", help="of one creator")
    permits.add_argument("--audio-hash", default="", metavar="SHA256", help="of one song")
    permits.add_argument("--hours", type=float, metavar="N", help="of the last N hours")
    permits.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default: 100)")
    return parser


def _settings(folder: Path | None) -> ServiceSettings:
    if folder is None:
        return ServiceSettings()
    return ServiceSettings(
        tls_cert_file=folder / FILES["cert"],
        tls_key_file=folder / FILES["key"],
        tls_ca_file=folder / FILES["ca"],
    )


async def _run(arguments: argparse.Namespace, settings: ServiceSettings) -> None:
    channel = open_channel(arguments.target, settings)
    stub = rpc.SignerServiceStub(channel)
    try:
        match arguments.command:
            case "pause":
                _print(await stub.Pause(pb.PauseRequest(reason=arguments.reason), timeout=TIMEOUT_S))
            case "resume":
                _print(await stub.Resume(pb.ResumeRequest(), timeout=TIMEOUT_S))
            case _:
                async for entry in _permits(stub, arguments):
                    _print(entry)
    finally:
        await channel.close()


async def _permits(
    stub: "rpc.SignerServiceAsyncStub", arguments: argparse.Namespace
) -> AsyncIterator[pb.AuditEntry]:
    if arguments.limit < 1:
        raise ValueError("--limit is at least 1")
    request = pb.ListPermitsRequest(
        to=arguments.to,
        audio_hash=bytes.fromhex(arguments.audio_hash.removeprefix("0x")),
        verdict=VERDICTS.get(arguments.verdict, pb.VERDICT_UNSPECIFIED),
    )
    if arguments.hours is not None:
        request.since.FromDatetime(datetime.now(UTC) - timedelta(hours=arguments.hours))
    left = arguments.limit
    while left:
        request.page_size = min(left, 100)
        page = await stub.ListPermits(request, timeout=TIMEOUT_S)
        for entry in page.entries:
            yield entry
        left -= len(page.entries)
        if not (token := page.next_page_token):
            return
        request.page_token = token


def _print(message: pb.AuditEntry | pb.PauseResponse | pb.ResumeResponse) -> None:
    found = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    if isinstance(message, pb.AuditEntry):
        found["audio_hash"] = message.audio_hash.hex()  # as everywhere else, not in base 64
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
