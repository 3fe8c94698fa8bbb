"""moto's KMS as a server of its own: `python kms_server.py [--hashes-again]`, prints its port, serves.

moto hashes what it signs, also when it is told that it is a digest; KMS does not. Here that is mended in
moto, in its own process; with `--hashes-again` moto stays as it is: a KMS that signs something else.
"""

import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto.kms.utils import ECDSAPrivateKey
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def sign_digest(self: ECDSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
    signature: bytes = self.private_key.sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    return signature


if __name__ == "__main__":
    if "--hashes-again" not in sys.argv:
        ECDSAPrivateKey.sign = sign_digest
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    print(server.port, flush=True)
    server.serve_forever()
