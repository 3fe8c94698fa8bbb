"""Every query of dashboard, rules and scalers, asked of a Prometheus that watches a stack making songs."""

import asyncio
import contextlib
import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from acesteps import AsyncClient
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from clients.demo.wallet import Wallet
from deploy.local.ports import free_ports
from deploy.local.stack import SERVICES, Stack
from tests.deploy import monitoring
from tests.deploy.monitoring import Matcher, Names, Query, names_in
from tests.deploy.prometheus import NAMESPACE, BadQuery, Known, Prometheus, prometheus

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs prometheus (Debian package prometheus)"
)

# What a stack on one machine does not have, and why.
ELSEWHERE = {
    "acesteps_music_gpu_memory_bytes": "needs a GPU",
    "acesteps_gateway_remote_pins_total": "needs another place that pins",
    "container_memory_working_set_bytes": "the kubelet's",
    "kube_pod_container_status_restarts_total": "kube-state-metrics'",
    "ALERTS": "Prometheus' own, while one is pending",
}
# Values of labels that come with an event which a healthy stack does not have.
EVENTS = {("reason", "CALLER_NOT_ALLOWED"), ("code", "DEADLINE_EXCEEDED"), ("alertstate", "firing")}
# Panels that may be empty although all that they speak of is there, and why.
EMPTY = {"Certificates: left": "the stack has no TLS"}
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A stack that has made, saved and minted a song, and failed at another, seen for some seconds."""
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    overrides = {f"{name.upper()}_METRICS_PORT": str(port) for name, port in ports.items()}
    folder = tmp_path_factory.mktemp("watched")
    with (
        prometheus(tmp_path_factory.mktemp("prometheus"), ports) as running,
        Stack(folder, http_port=0, grpc_port=0, overrides=overrides) as stack,
    ):
        wait_for(running, 'count(up{job="acesteps"} == 1) == 4')  # counters are seen at 0 first
        asyncio.run(use(stack, folder))
        wait_for(running, 'acesteps_gateway_mints_total{state="minted"} > 0')
        time.sleep(3)  # for rates of what came last
        yield running


def wait_for(running: Prometheus, query: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not running.query(query):
        assert time.monotonic() < until, f"in vain: {query}"
        time.sleep(0.2)


async def use(stack: Stack, folder: Path) -> None:
    wallet = Wallet(stack.rpc_url)
    await wallet.fund()
    async with AsyncClient(stack.gateway_target) as artist:
        failing = (await artist.create("chanson", language="fr", duration_s=6)).song
        created = await artist.create("calm piano", duration_s=6, creator_address=wallet.address)
        song = await artist.finish(created.song.id)
        await artist.download(song.id, folder / "song.mp3")
        await artist.save(song.id)
        await wallet.mint(await artist.mint_order(song.id))
        audio = f"{stack.gateway_url}/v1/songs/{song.id}/audio"
        (await asyncio.to_thread(urllib.request.urlopen, audio, timeout=10)).close()
        for _ in range(100):
            if (await artist.get(song.id)).mint.state == pb.MINT_STATE_MINTED:
                break
            await asyncio.sleep(0.1)
        with contextlib.suppress(Exception):
            await artist.finish(failing.id)
    await wallet.close()


@pytest.fixture(scope="module")
def known(watched: Prometheus) -> Known:
    return watched.known()


def complaints(known: Known, query: str) -> list[str]:
    """Without those that are to be expected of a healthy stack on one machine."""
    # What is missed at the start is pending, and of no namespace.
    expected = {"ALERTS has no label namespace", *(f"no metric {metric}" for metric in ELSEWHERE)}
    return [
        said
        for said in known.complaints(query)
        if said not in expected and not any(said.endswith(f'with {name}="{value}"') for name, value in EVENTS)
    ]


def asked(query: Query) -> str:
    return query.asked(namespace=NAMESPACE, datasource="", runbooks="")


@pytest.mark.parametrize("query", monitoring.queries(), ids=lambda q: q.title)
def test_a_panel_speaks_of_what_is_there_and_shows_it(
    watched: Prometheus, known: Known, query: Query
) -> None:
    assert complaints(known, asked(query)) == []
    samples = watched.query(asked(query))
    if not names_in(query.text).metrics & (ELSEWHERE.keys() - {"ALERTS"}) and query.title not in EMPTY:
        assert samples, f"{query.title}: nothing for {asked(query)}"


@pytest.mark.parametrize(
    "rule", monitoring.rules(), ids=lambda r: r.get("record") or f"{r['alert']}-{r['labels']['severity']}"
)
def test_a_rule_speaks_of_what_is_there(watched: Prometheus, known: Known, rule: dict[str, str]) -> None:
    assert complaints(known, rule["expr"]) == []
    watched.query(rule["expr"])
    if "record" in rule:
        assert rule["record"] in known.labels


@pytest.mark.parametrize("query", monitoring.scalers(), ids=lambda q: q.title)
def test_a_scaler_is_answered_with_one_number(watched: Prometheus, known: Known, query: Query) -> None:
    assert complaints(known, query.text) == []
    assert len(watched.query(query.text)) == 1


def test_no_alert_fires_on_a_stack_that_makes_songs(watched: Prometheus) -> None:
    assert watched.query('ALERTS{alertstate="firing"}') == []


def test_the_variables_are_filled(known: Known) -> None:
    for variable in monitoring.dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            asked_for = re.fullmatch(r"label_values\(([\w:]+), (\w+)\)", variable["definition"])
            assert asked_for is not None
            assert variable["query"]["query"] == variable["definition"]
            assert asked_for[2] in known.labels[asked_for[1]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("acesteps_gateway_queue_dept", "no metric acesteps_gateway_queue_dept"),
        (
            'sum by (le) (rate(acesteps_gateway_song_seconds_buckets{namespace="acesteps"}[1m]))',
            "no metric acesteps_gateway_song_seconds_buckets",
        ),
        (
            'acesteps_signer_permits_total{verdit="refused"}',
            "acesteps_signer_permits_total has no label verdit",
        ),
        (
            'acesteps_signer_permits_total{verdict="denied"}',
            'acesteps_signer_permits_total has nothing with verdict="denied"',
        ),
        (
            "sum by (namespace, verdct) (rate(acesteps_signer_permits_total[1m]))",
            "nothing has a label verdct",
        ),
    ],
)
def test_a_misspelt_name_is_caught(known: Known, query: str, said: str) -> None:
    assert complaints(known, query) == [said]


def test_what_is_not_promql_is_refused(watched: Prometheus) -> None:
    with pytest.raises(BadQuery, match="parse error"):
        watched.query("sum by (pod acesteps_gateway_pods_ready")


def test_names_are_taken_out_of_any_query() -> None:
    query = (
        'histogram_quantile(0.9, sum by (le, app) (rate(a:b_bucket{x!~"y|z(", le = "1.0"}[5m] offset 1h)))'
        ' > 2 * scalar(c) and on (pod) topk(3, d{e="{f}"}) unless g'
    )
    assert names_in(query) == Names(
        metrics=frozenset({"a:b_bucket", "c", "d", "g"}),
        matchers=frozenset(
            {
                Matcher("a:b_bucket", "x", "!~", "y|z("),
                Matcher("a:b_bucket", "le", "=", "1.0"),
                Matcher("d", "e", "=", "{f}"),
            }
        ),
        groupings=frozenset({"le", "app", "pod"}),
    )


def test_panels_are_told_apart_and_none_lies_on_another() -> None:
    panels = list(monitoring.panels())
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_is_led_to_from_a_panel() -> None:
    linked = {link["url"] for panel in monitoring.panels() for link in panel.get("links", ())}
    pages = {alert["annotations"]["runbook_url"].removeprefix("RUNBOOKS/") for alert in monitoring.alerts()}
    assert linked == {f"${{runbooks:raw}}/{page}" for page in {*pages, "README.md"}}
