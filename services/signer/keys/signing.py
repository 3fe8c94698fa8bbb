"""What every signing key does, the check of what it did, and the key from an encrypted keystore.

Knows r, s and v; knows nothing of files (`keystore`) or networks (`kms`).
"""

from functools import lru_cache
from pathlib import Path
from typing import NoReturn, Protocol, Self

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from services.signer.keystore import KeystoreError, decrypt, read_keystore, read_password

try:
    from coincurve import PrivateKey, PublicKey
except ImportError as missing:
    # eth-keys would go on in pure Python, slower by a factor of ten and not in constant time.
    raise SystemExit("signer: the native secp256k1 library (package coincurve) cannot be loaded") from missing

# The reason of an `Unavailable` by a key that lives elsewhere.
KEY_UNAVAILABLE = "KEY_UNAVAILABLE"
# Order of secp256k1 (SEC 2, section 2.4.1).
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class SigningKey(Protocol):
    """A secp256k1 key, wherever it lives."""

    @property
    def address(self) -> bytes:
        """The Ethereum address of the key, 20 bytes."""
        ...

    async def sign(self, digest: bytes) -> bytes:
        """r ‖ s ‖ v, 65 bytes, low s, v of 27 or 28, over a 32-byte digest.

        Raises:
            Unavailable: KEY_UNAVAILABLE, when the backend cannot be used now; nothing was signed then.
            SignatureDefect: when the backend's answer is none.
        """
        ...


class SignatureDefect(Exception):
    """A backend gave a signature that the contract would refuse. Never leaves the process."""


class KeyOpenError(Exception):
    """Why a key cannot be used at all, in one line without any secret."""


class KeystoreKey:
    """A key from an encrypted keystore, held in memory."""

    __slots__ = ("_private", "address")

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError unless `secret` is 32 bytes and a scalar of the curve."""
        if len(secret) != 32:
            raise ValueError("a secp256k1 secret has 32 bytes")
        self._private = PrivateKey(secret)
        self.address = address_of(self._private.public_key.format(compressed=False))

    @classmethod
    def load(cls, keystore: Path, password_file: Path) -> Self:
        """Raises KeystoreError."""
        try:
            return cls(decrypt(read_keystore(keystore), read_password(password_file)))
        except KeystoreError as error:
            reason = str(error)
        except ValueError:
            reason = "it holds no secp256k1 key"
        # Out here, so that no cause or context remains: the locals of its frames are key and password.
        raise KeystoreError(f"keystore {keystore}: {reason}")

    async def sign(self, digest: bytes) -> bytes:
        """Deterministic (RFC 6979): the same digest gives the same signature."""
        r_s_recid = self._private.sign_recoverable(digest, hasher=None)
        return r_s_recid[:64] + bytes([27 + r_s_recid[64]])

    def __repr__(self) -> str:
        return f"<KeystoreKey {checksummed(self.address)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not to be copied or pickled")


async def sign_checked(key: SigningKey, digest: bytes) -> bytes:
    """The signature of `key` over a 32-byte digest, after recovering its signer as the contract will.

    Raises:
        Unavailable: KEY_UNAVAILABLE.
        SignatureDefect: when it is malformed, has a high s, or is another key's.
    """
    if len(digest) != 32:
        raise ValueError(f"a digest has 32 bytes, not {len(digest)}")
    signature = await key.sign(digest)
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise SignatureDefect("not r ‖ s ‖ v with v of 27 or 28")
    if not 0 < int.from_bytes(signature[32:64], "big") <= ORDER // 2:  # EIP-2
        raise SignatureDefect("s is not in the lower half of the order")
    if recover(digest, signature) != key.address:
        raise SignatureDefect("it recovers to another address")
    return signature


def recover(digest: bytes, signature: bytes) -> bytes:
    """The address, 20 bytes, that signed `digest` with r ‖ s ‖ v.

    Raises:
        SignatureDefect: when no key can have made it.
    """
    try:
        compact = signature[:64] + bytes([signature[64] - 27])
        public = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # coincurve raises ValueError and bare Exception alike
        raise SignatureDefect("it recovers to no key") from error
    return address_of(public.format(compressed=False))


@lru_cache(maxsize=16)
def checksummed(address: bytes) -> str:
    """EIP-55 text of a 20-byte address."""
    return str(to_checksum_address(address))


def address_of(point: bytes) -> bytes:
    """The Ethereum address, 20 bytes, of an uncompressed public key (4 ‖ x ‖ y)."""
    return keccak(point[1:])[12:]


def new_secret() -> tuple[bytes, bytes]:
    """A new random key: its secret, 32 bytes, for a keystore and nothing else, and its address."""
    private = PrivateKey()
    return private.secret, address_of(private.public_key.format(compressed=False))
