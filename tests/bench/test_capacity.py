"""The simulation of a day against queueing theory, Kubernetes' own examples, and the manifests it reads."""

import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from bench.capacity_fleet import Outcome, Stalled, simulate
from bench.capacity_ground import Ground
from bench.capacity_scaling import MANIFEST, Autoscaler, Policy, Rules, Scaling, Trigger, read, wanted
from bench.capacity_songs import PATTERNS, Making, Seconds, Songs, arrivals, songs
from services.gateway import metrics
from services.gateway.settings import GatewaySettings
from services.music import measuring

ROOT = Path(__file__).parents[2]
AUTOSCALING = MANIFEST.parent
SCALING = read()
AT_ONCE = Rules(0.0, [Policy("Percent", 1000, 15.0)])


def _waits(making: Seconds, mean_gap_s: float, fleet: int) -> Seconds:
    rng = np.random.default_rng(7)
    n = len(making)
    asked = Songs(np.cumsum(rng.exponential(mean_gap_s, n)), np.zeros(n), making, np.ones(n))
    outcome = simulate(asked, SCALING.fixed(fleet), Ground(), rng)
    return outcome.begun - outcome.arrival


@pytest.mark.parametrize(("fleet", "load"), [(1, 0.6), (4, 0.7), (20, 0.9)])
def test_waits_are_those_of_erlang(fleet: int, load: float) -> None:
    busy = fleet * load
    blocked = busy**fleet / math.factorial(fleet) / (1 - load)
    waiting = blocked / (sum(busy**k / math.factorial(k) for k in range(fleet)) + blocked)
    expected_s = waiting / (fleet - busy)  # Erlang C, songs of 1 s on average
    waits = _waits(np.random.default_rng(3).exponential(1.0, 200_000), 1 / busy, fleet)
    assert waits.mean() == pytest.approx(expected_s, rel=0.05)
    assert (waits > 1e-9).mean() == pytest.approx(waiting, rel=0.04)


def test_songs_of_one_length_wait_half_as_long_as_pollaczek_and_khinchine_say() -> None:
    waits = _waits(np.ones(200_000), 1 / 0.7, 1)
    assert waits.mean() == pytest.approx(0.7 / (2 * (1 - 0.7)), rel=0.03)


def test_one_more_pod_makes_no_song_wait_longer() -> None:
    making = np.random.default_rng(5).lognormal(0.0, 1.0, 20_000)
    few, more = (_waits(making, 0.3, fleet) for fleet in (6, 7))
    assert (more <= few + 1e-6).all()
    assert more.mean() < few.mean()


def _day(scaling: Scaling, ground: Ground, per_hour: float = 600.0, hours: float = 6.0) -> Outcome:
    rng = np.random.default_rng(2)
    asked = songs(arrivals(per_hour, hours * 3600, PATTERNS["bursts"], rng), Making(), rng)
    return simulate(asked, scaling, ground, rng)


def test_every_song_ends_once_though_pods_come_go_and_are_lost() -> None:
    outcome = _day(SCALING, Ground(losses_per_hour=4.0))
    assert outcome.lost_pods > 10, "hardly a pod was lost"
    assert (outcome.times_ended == 1).all()
    assert (outcome.ended > outcome.begun).all()
    assert (outcome.begun > outcome.arrival).all()


def test_no_gpu_is_busier_than_it_is_paid() -> None:
    outcome = _day(SCALING, Ground())
    assert 0 < outcome.busy_slot_s < outcome.paid_gpu_s
    assert outcome.busy_slot_s == pytest.approx(float((outcome.ended - outcome.begun).sum()))


def test_a_fleet_that_starts_from_nothing_makes_its_first_song_wait_for_a_node() -> None:
    cold, warm = (_day(replace(SCALING, least=least), Ground(), 20.0, 2.0) for least in (0, 1))
    assert (cold.begun - cold.arrival)[0] > 150
    assert (cold.cold[0], warm.cold[0]) == (True, False)
    assert (warm.begun - warm.arrival)[0] < 1


def test_more_songs_than_all_workers_make_are_not_begun() -> None:
    rng = np.random.default_rng(4)
    asked = songs(arrivals(6_000.0, 1800, PATTERNS["steady"], rng), Making(), rng)
    outcome = simulate(asked, SCALING.fixed(20), Ground(workers=3), rng)
    moments = sorted([(t, 1) for t in outcome.begun] + [(t, -1) for t in outcome.ended])
    assert max(np.cumsum([change for _, change in moments])) == 3


def test_settings_that_never_start_a_pod_are_told() -> None:
    blind = replace(SCALING, triggers=[t for t in SCALING.triggers if t.name == "slots-busy"])
    with pytest.raises(Stalled, match="songs are left"):
        _day(blind, Ground(), 10.0, 1.0)


@pytest.mark.parametrize(
    ("value", "threshold", "replicas", "ready", "asked"),
    [
        (200, 100, 2, 2, 4),
        (50, 100, 4, 4, 2),
        (105, 100, 7, 7, 7),
        (111, 100, 10, 10, 12),
        (300, 100, 5, 1, 3),
    ],
)
def test_a_value_multiplies_the_pods_that_are_ready(
    value: float, threshold: float, replicas: int, ready: int, asked: int
) -> None:
    assert wanted(Trigger("age", threshold, 0, "Value"), value, replicas, ready) == asked


@pytest.mark.parametrize(
    ("value", "replicas", "asked"), [(8.5, 2, 10), (8.5, 10, 10), (9.0, 10, 10), (9.5, 10, 12), (0, 3, 0)]
)
def test_an_average_value_is_shared_out(value: float, replicas: int, asked: int) -> None:
    assert wanted(Trigger("running", 0.85, 0, "AverageValue"), value, replicas, 0) == asked


def _autoscaler(up: Rules, down: Rules, least: int = 0) -> Autoscaler:
    return Autoscaler(Scaling(least, 100, 5, 300, [Trigger("running", 1.0, 0, "AverageValue")], up, down))


def test_scaling_down_waits_for_the_highest_wish_of_its_window() -> None:
    one = _autoscaler(AT_ONCE, replace(AT_ONCE, window_s=300.0))
    wishes = [(0.0, 10.0), (15.0, 4.0), (290.0, 5.0), (310.0, 4.0), (600.0, 1.0)]
    assert [one.sync(now, 10, 10, {"running": value}) for now, value in wishes] == [10, 10, 10, 5, 4]


def test_scaling_up_needs_a_wish_that_lasts_through_its_window() -> None:
    one = _autoscaler(replace(AT_ONCE, window_s=45.0), AT_ONCE)
    wishes = [(0.0, 2.0), (15.0, 9.0), (30.0, 8.0), (45.0, 9.0), (60.0, 9.0)]
    assert [one.sync(now, 2, 2, {"running": value}) for now, value in wishes] == [2, 2, 2, 8, 8]


def test_policies_bound_how_fast_pods_come_and_go() -> None:
    up = Rules(0.0, [Policy("Percent", 100, 60.0), Policy("Pods", 4, 60.0)])
    down = Rules(0.0, [Policy("Percent", 20, 60.0), Policy("Pods", 1, 60.0)])
    one, replicas, seen = _autoscaler(up, down), 1, []
    # At 135 s a fifth of the ten that there were a minute before may go, and the two that came since.
    for now, value in ((0.0, 50.0), (15.0, 50.0), (60.0, 50.0), (120.0, 12.0), (135.0, 5.0), (180.0, 5.0)):
        replicas = one.sync(now, replicas, replicas, {"running": value})
        seen.append(replicas)
    assert seen == [5, 5, 10, 12, 8, 8]


def test_the_last_pod_goes_after_the_cooldown_and_comes_back_for_a_song() -> None:
    one = _autoscaler(AT_ONCE, AT_ONCE)
    assert one.poll(0.0, 1, {"running": 1.0}) == 1
    assert one.poll(300.0, 1, {"running": 0.0}) == 1
    assert one.poll(305.0, 1, {"running": 0.0}) == 0
    assert one.sync(310.0, 0, 0, {"running": 9.0}) == 0, "an autoscaler leaves alone what has no pods"
    assert one.poll(315.0, 0, {"running": 1.0}) == 1


def test_the_queries_ask_for_metrics_that_the_services_have() -> None:
    asked = (metrics.OLDEST_QUEUED_S, metrics.RUNNING, metrics.PODS, measuring.SLOTS_BUSY)
    known = {next(iter(gauge.collect())).name for gauge in asked}
    words = {w for t in SCALING.triggers for w in t.query.replace("(", " ").replace(")", " ").split()}
    assert {w for w in words if w.startswith("acesteps_")} == known
    assert [t.name for t in SCALING.triggers] == ["oldest-queued", "slots-busy"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian package prometheus)")
@pytest.mark.parametrize(
    ("oldest_s", "running", "ready", "busy", "age", "slots"),
    [
        pytest.param(40, 5, 5, (1, 1, 1, 1, 1), 40, 5, id="all pods are busy"),
        pytest.param(300, 2, 5, (1, 1, 0, 0, 0), 0, 2, id="an account waits for its own songs"),
        pytest.param(12, 0, 0, (), 12, 0, id="there is no pod"),
        pytest.param(3, 7, 5, (1, 1), 3, 2, id="words are being written"),
    ],
)
def test_prometheus_answers_the_queries_as_the_simulation_does(
    tmp_path: Path, oldest_s: int, running: int, ready: int, busy: tuple[int, ...], age: int, slots: int
) -> None:
    # Two replicas of the gateway tell the same of the queue; each counts the pods that it finds.
    told = {"queue_oldest_seconds": oldest_s, "songs_running": running, "pods_ready": ready}
    series = {f'acesteps_gateway_{n}{{pod="{p}"}}': v for n, v in told.items() for p in "ab"}
    series |= {f'acesteps_music_slots_busy{{pod="{n}"}}': v for n, v in enumerate(busy)}
    expected = zip(SCALING.triggers, (age, slots), strict=True)
    test = {
        "input_series": [{"series": name, "values": f"{value}x4"} for name, value in series.items()],
        "promql_expr_test": [
            {"expr": t.query, "eval_time": "2m", "exp_samples": [{"labels": "{}", "value": v}]}
            for t, v in expected
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    command = ["promtool", "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def settings_in(manifest: str) -> dict[str, str]:
    """The gateway's variables that a manifest gives plainly."""
    documents = yaml.safe_load_all((AUTOSCALING.parents[1] / manifest).read_text())
    (gateway,) = [d for d in documents if d["kind"] == "Deployment" and d["metadata"]["name"] == "gateway"]
    variables = gateway["spec"]["template"]["spec"]["containers"][0]["env"]
    return {variable["name"]: variable["value"] for variable in variables if "value" in variable}


def test_the_gateways_workers_keep_all_music_pods_busy() -> None:
    (scaler,) = yaml.safe_load_all((AUTOSCALING / "gateway.yaml").read_text())
    workers = int(settings_in("base/gateway.yaml")["GATEWAY_WORKERS"])
    ahead = int(settings_in("components/gpu/gateway.yaml")["GATEWAY_AHEAD"])
    assert scaler["spec"]["minReplicas"] * (workers - ahead) >= SCALING.most
    assert Ground.ahead == GatewaySettings.model_fields["ahead"].default
