"""`python -m deploy.docker.trust`: has the music pod's key trusted for the engine that the pod says it runs.

Runs in music's image once it serves, reads where things are from the environment, and changes the bundle only
when it does not say so yet.
"""

import asyncio
import os
import sys
from pathlib import Path

from acesteps.music.v1 import music_service_pb2, music_service_pb2_grpc
from services.common.channels import open_channel
from services.common.provenance import key_id_of, load_public_key
from services.common.settings import ServiceSettings
from services.common.trust import TrustBundle
from services.common.trust.__main__ import main as trust

TIMEOUT_S = 30.0


def main() -> int:
    secrets = Path(os.environ["ACESTEPS_SECRETS_DIR"])
    bundle, key = Path(os.environ["TRUST_BUNDLE_FILE"]), secrets / "pod.pub.pem"
    pod = asyncio.run(_describe(os.environ["MUSIC_TARGET"], secrets))
    key_id = key_id_of(load_public_key(key))
    if pod.attestation_key_id != key_id:
        print(f"trust: the pod attests with {pod.attestation_key_id}, not with {key_id}", file=sys.stderr)
        return 1
    if bundle.exists():
        known = TrustBundle.parse(bundle.read_bytes()).by_id().get(key_id)
        if known and pod.engine in known.engines and pod.weights_digest in known.weights_digests:
            print(f"{pod.engine} is trusted")
            return 0
        engines = [*known.engines] if known else []
        digests = [*known.weights_digests] if known else []
    else:
        engines, digests = [], []
    words = [word for task in pod.tasks for word in ("--task", task)]
    words += [word for name in {*engines, pod.engine} for word in ("--engine", name)]
    words += [word for digest in {*digests, pod.weights_digest} for word in ("--weights-digest", digest)]
    return trust(["bundle", "--bundle", str(bundle), "--key", str(key), *words])


async def _describe(target: str, secrets: Path) -> music_service_pb2.DescribeEngineResponse:
    settings = ServiceSettings(
        tls_cert_file=secrets / "tls.pem", tls_key_file=secrets / "tls.key", tls_ca_file=secrets / "ca.pem"
    )
    channel = open_channel(target, settings)
    try:
        stub = music_service_pb2_grpc.MusicServiceStub(channel)
        request = music_service_pb2.DescribeEngineRequest()
        return await stub.DescribeEngine(request, timeout=TIMEOUT_S, wait_for_ready=True)
    finally:
        await channel.close()


if __name__ == "__main__":
    sys.exit(main())
