"""The HTTP face: REST, server-sent events and progressive audio over the use cases. OpenAPI at /docs.

Knows what surrounds every route; the routes stand by topic in http_*.py. Messages are the protos'
(`proto_models`), errors are `problems`.
"""

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse

from services.common.errors import Unavailable
from services.common.server import Health
from services.gateway.faces.csrf import origin_of
from services.gateway.faces.http_accounts import add_accounts
from services.gateway.faces.http_arranging import add_arranging
from services.gateway.faces.http_audio import ATTEMPT_HEADER, add_audio
from services.gateway.faces.http_batches import add_batches
from services.gateway.faces.http_limits import BodyLimit, PlainAnswers
from services.gateway.faces.http_lyrics import add_lyrics
from services.gateway.faces.http_minting import add_minting
from services.gateway.faces.http_observed import TRACE_HEADER
from services.gateway.faces.http_operator import add_operator
from services.gateway.faces.http_pictures import add_pictures
from services.gateway.faces.http_songs import add_songs
from services.gateway.faces.http_timeline import add_timeline
from services.gateway.faces.http_webhooks import add_webhooks
from services.gateway.faces.problems import Problem, answer_with_problems
from services.gateway.use_cases import UseCases

_EXPOSED = (
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "Retry-After",
    ATTEMPT_HEADER,
    TRACE_HEADER,
)


def create_app(
    use_cases: UseCases,
    health: Health,
    *,
    cors_origins: Sequence[str],
    public_url: str = "",
    site: str = "",
    body_s: float = 30.0,
) -> FastAPI:
    app = FastAPI(
        title="AceSteps",
        version="1",
        description=(
            "Turns a prompt into a song. The same use cases over gRPC: `acesteps.gateway.v1.GatewayService`. "
            "Messages are the proto3 JSON mapping of its protos; errors are RFC 9457 problem documents."
        ),
        servers=[{"url": public_url}] if public_url else None,
        docs_url=None,
        redirect_slashes=False,
        redoc_url=None,
        # What is seen of a request is `http_observed`'s: the framework's own spans hold paths and queries.
        telemetry={"tracing": False, "operation_spans": False, "metrics": False, "logs": False},
        responses={"default": {"model": Problem, "description": "A problem document (RFC 9457)"}},
    )
    # Whose pages may use a session's cookie.
    app.state.origins = frozenset((*cors_origins, origin_of(public_url), site)) - {""}
    app.add_middleware(BodyLimit, within_s=body_s)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(cors_origins),
        allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
        allow_headers=["*"],
        allow_credentials=True,
        expose_headers=list(_EXPOSED),
    )
    app.add_middleware(PlainAnswers)
    answer_with_problems(app)
    add_accounts(app, use_cases, secure=public_url.startswith("https://"))
    add_songs(app, use_cases)
    add_batches(app, use_cases)
    add_lyrics(app, use_cases)
    add_audio(app, use_cases)
    add_arranging(app, use_cases)
    add_pictures(app, use_cases)
    add_timeline(app, use_cases)
    add_minting(app, use_cases)
    add_operator(app, use_cases)
    add_webhooks(app, use_cases)
    _add_health(app, health)
    return app


def _add_health(app: FastAPI, health: Health) -> None:
    docs = Path(__file__).with_name("docs.html").read_text("utf-8")

    @app.get("/healthz", tags=["health"])
    async def alive() -> dict[str, str]:
        """Whether the process serves."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["health"])
    async def ready() -> dict[str, str]:
        """Whether it should be sent requests: 503 while the database is away or the process drains."""
        if not health.ready:
            raise Unavailable("NOT_READY", "not ready", retry_delay_s=1.0)
        return {"status": "ready"}

    @app.get("/docs", include_in_schema=False)
    async def show_docs() -> HTMLResponse:
        return HTMLResponse(docs)
