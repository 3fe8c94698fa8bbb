"""A key inside AWS KMS (ECC_SECG_P256K1): signed over the network, never seen here.

Knows KMS's calls and how its answer becomes r ‖ s ‖ v. boto3 is imported only where a key is asked for.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from services.common.errors import Unavailable
from services.signer.keys.signing import (
    KEY_UNAVAILABLE,
    ORDER,
    KeyOpenError,
    SignatureDefect,
    address_of,
    checksummed,
    recover,
)

# KMS answers in 10 to 50 ms within a region; botocore repeats with exponential back-off and jitter what was
# throttled, cut off or answered 5xx.
CONNECT_TIMEOUT_S, READ_TIMEOUT_S, ATTEMPTS = 1.0, 2.0, 3
# For all attempts of one signature.
SIGN_TIMEOUT_S = 5.0
# Signatures at once, each in a thread with a connection of its own.
CONNECTIONS = 32
_ALGORITHM = "ECDSA_SHA_256"  # names the curve's hash; with MessageType DIGEST nothing is hashed

_log = logging.getLogger(__name__)


class KmsKey:
    """A key that signs in KMS. Credentials are found as AWS's own tools find them, never in our settings."""

    __slots__ = ("_client", "_key_id", "_threads", "address")

    def __init__(self, client: Any, key_id: str, address: bytes) -> None:
        self._client = client
        self._key_id = key_id
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="kms")
        self.address = address

    @classmethod
    def open(cls, key_id: str, *, region: str | None = None, endpoint: str | None = None) -> Self:
        """Ask KMS for the public key. `key_id` is an id, ARN or alias; an alias is followed once, now.

        Raises:
            KeyOpenError: when boto3 is missing, KMS cannot be reached, or the key is of another kind.
        """
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise KeyOpenError(
                "a KMS key needs the package boto3: pip install -r requirements/kms.txt"
            ) from None
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CONNECTIONS,
        )
        try:
            client = boto3.session.Session().client(
                "kms", region_name=region, endpoint_url=endpoint, config=config
            )
            found = client.get_public_key(KeyId=key_id)
        except (BotoCoreError, ClientError, ValueError) as error:  # ValueError: a malformed endpoint
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            raise KeyOpenError(f"KMS key {key_id}: {first_line}") from None
        # KeySpec's older name is all that some endpoints give.
        spec = found.get("KeySpec") or found.get("CustomerMasterKeySpec")
        if spec != "ECC_SECG_P256K1" or found.get("KeyUsage") != "SIGN_VERIFY":
            raise KeyOpenError(
                f"KMS key {key_id} is {spec} for {found.get('KeyUsage')}; "
                "a permit key is ECC_SECG_P256K1 for SIGN_VERIFY"
            )
        return cls(client, str(found["KeyId"]), _address(key_id, found["PublicKey"]))

    async def sign(self, digest: bytes) -> bytes:
        """See `SigningKey`. KMS draws a nonce for each signature: asked twice, it gives two."""
        from botocore.exceptions import BotoCoreError, ClientError

        call = partial(
            self._client.sign,
            KeyId=self._key_id,
            Message=digest,
            MessageType="DIGEST",
            SigningAlgorithm=_ALGORITHM,
        )
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, call)
            answer = await asyncio.wait_for(running, SIGN_TIMEOUT_S)
        except (BotoCoreError, ClientError, TimeoutError) as error:
            # KMS's own code, not its text.
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else None
            _log.error("KMS does not sign", extra={"error": code or type(error).__name__})
            raise Unavailable(
                KEY_UNAVAILABLE, "the signing key cannot be used; nothing was signed", retry_delay_s=1.0
            ) from error
        return canonical(answer["Signature"], digest, self.address)

    def __repr__(self) -> str:
        return f"<KmsKey {checksummed(self.address)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not to be copied or pickled")


def canonical(der: bytes, digest: bytes, address: bytes) -> bytes:
    """r ‖ s ‖ v with low s (EIP-2) of a DER signature over `digest`. KMS says no v: it is tried.

    Raises:
        SignatureDefect: when it is no signature, or not one by `address`.
    """
    try:
        r, s = decode_dss_signature(der)
        r_s = r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")
    except (ValueError, OverflowError) as error:
        raise SignatureDefect("not a DER signature of secp256k1") from error
    for v in (27, 28):
        signature = r_s + bytes([v])
        if recover(digest, signature) == address:
            return signature
    raise SignatureDefect("it recovers to another address")


def _address(key_id: str, spki: bytes) -> bytes:
    """Of a DER SubjectPublicKeyInfo."""
    public = load_der_public_key(spki)
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256K1):
        raise KeyOpenError(f"KMS key {key_id} has no public key on secp256k1")
    return address_of(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
