"""`python -m services.signer`: serve until told to stop."""

from services.common.server import run_service
from services.common.settings import load_settings
from services.signer.keys import forbid_core_dumps
from services.signer.service import build
from services.signer.settings import SignerSettings

if __name__ == "__main__":
    forbid_core_dumps()
    run_service("signer", load_settings(SignerSettings), build)
