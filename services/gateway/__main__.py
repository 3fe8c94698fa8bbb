"""`python -m services.gateway`: serve until told to stop."""

from services.common.server import run_service
from services.common.settings import load_settings
from services.gateway.service import build
from services.gateway.settings import GatewaySettings

if __name__ == "__main__":
    run_service("gateway", load_settings(GatewaySettings), build)
