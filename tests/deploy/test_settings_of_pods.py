"""What a container is given is what its service takes: settings, ports, probes, files, time to leave."""

from pathlib import Path

import pytest

from deploy.manifests import code
from deploy.manifests.code import Image
from deploy.manifests.dockerfiles import stages
from tests.deploy.conftest import Mesh

GATEWAY = "overlays/staging: Deployment/gateway: spec.template.spec.containers[0]"
MUSIC = "overlays/staging: Deployment/music: spec.template.spec.containers[0]"


def test_a_misspelt_variable_is_told_with_what_it_may_have_been(mesh: Mesh) -> None:
    mesh.set("gateway", "GATEWAY_WORKER", "4")
    assert (
        mesh.told()
        == f"{GATEWAY}.env[14]: GATEWAY_WORKER is no setting of gateway; expected GATEWAY_WORKERS, perhaps"
    )


def test_a_misspelt_variable_of_opentelemetry_is_told(mesh: Mesh) -> None:
    mesh.set("gateway", "OTEL_EXPORTER_OTLP_ENDPONT", "http://collector:4317")
    assert "OTEL_EXPORTER_OTLP_ENDPONT is no setting of gateway" in mesh.told()


def test_another_services_variable_is_told(mesh: Mesh) -> None:
    mesh.set("lyrics", "MUSIC_SLOTS", "2")
    assert "MUSIC_SLOTS is no setting of lyrics" in mesh.told()


def test_a_variable_that_another_is_made_of_is_not_told(mesh: Mesh) -> None:
    mesh.container("music")["env"][:0] = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    ]
    mesh.set("music", "MUSIC_POD_ID", "pod/$(POD_NAME)")
    assert mesh.told() == ""


def test_a_required_setting_that_is_missing_is_told(mesh: Mesh) -> None:
    mesh.unset("gateway", "GATEWAY_DATABASE_URL")
    assert mesh.told() == f"{GATEWAY}.env: GATEWAY_DATABASE_URL: Field required"


def test_a_setting_that_the_service_refuses_is_told(mesh: Mesh) -> None:
    mesh("ConfigMap/values")["data"]["CONTRACT"] = "REPLACE-ME"
    assert (
        "Deployment/signer: spec.template.spec.containers[0].env: SIGNER_CONTRACT: Value error" in mesh.told()
    )


def test_production_without_tls_is_told(mesh: Mesh) -> None:
    mesh.set("lyrics", "LYRICS_ENVIRONMENT", "production")
    assert "LYRICS: Value error, production needs tls_cert_file, tls_key_file and tls_ca_file" in mesh.told()


def test_settings_of_the_machine_that_checks_do_not_count(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://here")
    mesh.unset("gateway", "GATEWAY_DATABASE_URL")
    assert "GATEWAY_DATABASE_URL: Field required" in mesh.told()


def test_settings_may_be_files_of_a_mounted_secret(mesh: Mesh) -> None:
    mesh.unset("signer", "ACESTEPS_SECRETS_DIR")
    assert "SIGNER_DATABASE_URL: Field required" in mesh.told()


def test_variables_of_services_are_kept_out(mesh: Mesh) -> None:
    del mesh.pod("music")["enableServiceLinks"]
    assert (
        "spec.enableServiceLinks: variables of Services, such as MUSIC_PORT, are taken for settings"
        in mesh.told()
    )


def test_a_port_that_the_settings_do_not_open_is_told(mesh: Mesh) -> None:
    mesh.container("music")["ports"][0]["containerPort"] = 50051
    assert (
        f"{MUSIC}.ports[0].containerPort: is 50051, and MUSIC_GRPC_PORT is 50052; expected 50052"
        in mesh.told()
    )


def test_a_port_of_an_unknown_name_is_told(mesh: Mesh) -> None:
    mesh.container("music")["ports"].append({"name": "debug", "containerPort": 5678})
    assert f"{MUSIC}.ports[3]: music opens no port debug 5678" in mesh.told()


def test_a_port_that_is_not_declared_is_told(mesh: Mesh) -> None:
    del mesh.container("gateway")["ports"][2]
    assert f"{GATEWAY}.ports: port health 8081 is not declared" in mesh.told()


def test_a_service_that_listens_to_itself_only_is_told(mesh: Mesh) -> None:
    mesh.unset("gateway", "GATEWAY_HTTP_HOST")
    assert (
        f"{GATEWAY}.env: GATEWAY_HTTP_HOST is 127.0.0.1: nothing outside the container reaches http"
        in mesh.told()
    )


def test_a_probe_on_a_wrong_port_is_told(mesh: Mesh) -> None:
    mesh.container("music")["livenessProbe"]["grpc"]["port"] = 50052
    assert mesh.told() == (
        f"{MUSIC}.livenessProbe.grpc.port: is 50052, and MUSIC_HEALTH_PORT is 8081; "
        "expected the port that serves health in plaintext"
    )


@pytest.mark.parametrize("name", ["live", "readiness", ""])
def test_a_liveness_probe_of_another_name_is_told(mesh: Mesh, name: str) -> None:
    mesh.container("music")["livenessProbe"]["grpc"]["service"] = name
    assert mesh.told() == f"{MUSIC}.livenessProbe.grpc.service: is {name!r}; expected liveness"


def test_a_probe_that_asks_nothing_is_told(mesh: Mesh) -> None:
    del mesh.container("music")["livenessProbe"]["grpc"]
    assert f"{MUSIC}.livenessProbe: asks nothing; expected grpc or httpGet" in mesh.told()


def test_a_probe_of_a_route_that_is_not_there_is_told(mesh: Mesh) -> None:
    mesh.container("gateway")["readinessProbe"]["httpGet"]["path"] = "/ready"
    assert mesh.told() == (
        f"{GATEWAY}.readinessProbe.httpGet.path: the gateway has no GET /ready; expected /healthz or /readyz"
    )


def test_an_http_probe_of_a_service_without_http_is_told(mesh: Mesh) -> None:
    mesh.container("music")["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": 50052}}
    assert f"{MUSIC}.readinessProbe.httpGet.port: is 50052; expected music speaks no HTTP" in mesh.told()


def test_a_container_without_a_readiness_probe_is_told(mesh: Mesh) -> None:
    del mesh.container("music")["readinessProbe"]
    assert f"{MUSIC}.readinessProbe: is missing" in mesh.told()


def test_an_engine_that_loads_long_has_a_startup_probe(mesh: Mesh) -> None:
    mesh.set("music", "MUSIC_ENGINE", "acestep")
    mesh.set("music", "MUSIC_WEIGHTS", "/var/lib/acesteps/weights")
    assert f"{MUSIC}.startupProbe: is missing; expected one: else nobody knows how" in mesh.told()


def test_a_file_where_nothing_is_mounted_is_told(mesh: Mesh) -> None:
    mesh.set("music", "MUSIC_TRUST_BUNDLE_FILE", "/etc/trust/trust.json")
    told = mesh.told()
    assert (
        f"{MUSIC}.volumeMounts: MUSIC_TRUST_BUNDLE_FILE is /etc/trust/trust.json, where nothing is mounted"
        in told
    )
    assert f"{MUSIC}.volumeMounts[1]: no setting leads to /etc/acesteps/trust" in told


def test_a_file_that_a_secret_does_not_hold_is_told(mesh: Mesh) -> None:
    mesh.set("music", "MUSIC_TLS_CERT_FILE", "/run/tls/cert.pem")
    assert "MUSIC_TLS_CERT_FILE is /run/tls/cert.pem, and the volume tls has no file cert.pem" in mesh.told()


def test_a_state_file_that_cannot_be_written_is_told(mesh: Mesh) -> None:
    mesh.container("music")["volumeMounts"][3]["readOnly"] = True
    assert (
        f"{MUSIC}.volumeMounts[3]: MUSIC_TRUST_STATE_FILE, /var/lib/acesteps/trust.state, cannot be written"
        in mesh.told()
    )


def test_a_key_in_a_volume_that_nothing_fills_is_told(mesh: Mesh) -> None:
    del mesh.pod("music")["volumes"][0]["secret"]
    assert (
        f"{MUSIC}.volumeMounts[0]: MUSIC_ATTESTATION_KEY_FILE is /run/secrets/attestation/attestation.pem, "
        "in an emptyDir that nothing fills" in mesh.told()
    )


def test_a_secret_that_only_root_reads_is_told(mesh: Mesh) -> None:
    del mesh.pod("music")["securityContext"]["fsGroup"]
    told = mesh.told()
    assert "spec.volumes[0].secret.defaultMode: without fsGroup only root reads files of mode 0440" in told
    assert "spec.volumes[1]" not in told


def test_a_volume_that_only_root_writes_is_told(mesh: Mesh) -> None:
    del mesh.pod("gateway")["securityContext"]["fsGroup"]
    assert "spec.volumes[0].persistentVolumeClaim: without fsGroup the volume is root's" in mesh.told()


def test_a_command_that_is_given_none_of_its_settings_is_told(mesh: Mesh) -> None:
    del mesh.pod("gateway")["initContainers"][0]["env"]
    assert (
        "spec.template.spec.initContainers[0].env: services.gateway.admin is given none of its settings; "
        "expected GATEWAY_DATABASE_URL" in mesh.told()
    )


def test_objects_that_a_restart_would_lose_are_told(mesh: Mesh) -> None:
    mesh.set("gateway", "GATEWAY_OBJECTS_URL", "file:///srv/objects")
    assert "GATEWAY_OBJECTS_URL is /srv/objects, where nothing is mounted" in mesh.told()


def test_a_certificate_mounted_by_sub_path_is_told(mesh: Mesh) -> None:
    mesh.container("music")["volumeMounts"][2]["subPath"] = "tls.crt"
    assert f"{MUSIC}.volumeMounts[2].subPath: a file mounted by subPath is never renewed" in mesh.told()


def test_a_grace_period_that_is_too_short_is_told(mesh: Mesh) -> None:
    mesh.pod("gateway")["terminationGracePeriodSeconds"] = 39
    assert mesh.told() == (
        "overlays/staging: Deployment/gateway: spec.template.spec.terminationGracePeriodSeconds: "
        "is 39, and leaving takes 40 s: preStop 5, GATEWAY_DRAIN_DELAY_S 5, GATEWAY_DRAIN_GRACE_S 30; "
        "expected at least 40: else it is killed at work"
    )


def test_kubernetes_own_grace_period_is_counted_where_a_pod_names_none(mesh: Mesh) -> None:
    mesh.container("lyrics")["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    assert "is 30, and leaving takes 35 s: preStop 5" in mesh.told()


def test_music_that_is_not_let_finish_is_told(mesh: Mesh) -> None:
    mesh.set("gateway", "GATEWAY_RENDER_TIMEOUT_S", "900")
    assert f"{MUSIC}.env: MUSIC_DRAIN_GRACE_S is 600, and one song may take 900 s" in mesh.told()


def test_a_target_that_is_no_service_is_told(mesh: Mesh) -> None:
    mesh.set("gateway", "GATEWAY_MUSIC_TARGET", "dns:///musik:50052")
    assert "GATEWAY_MUSIC_TARGET is dns:///musik:50052, and the render has no such Service" in mesh.told()


def test_a_target_port_that_the_service_lacks_is_told(mesh: Mesh) -> None:
    mesh.set("gateway", "GATEWAY_MUSIC_TARGET", "dns:///music:50051")
    assert (
        "GATEWAY_MUSIC_TARGET is dns:///music:50051, and the Service has no such port; expected 50052"
        in mesh.told()
    )


def test_a_headless_target_without_balancing_is_told(mesh: Mesh) -> None:
    mesh.set("gateway", "GATEWAY_MUSIC_TARGET", "music:50052")
    assert "GATEWAY_MUSIC_TARGET is music:50052: one pod of many; expected dns:///music:50052" in mesh.told()


def test_a_target_that_is_one_address_is_told(mesh: Mesh) -> None:
    del mesh("Service/music")["spec"]["clusterIP"]
    assert "Service/music: spec.clusterIP: one address for all pods" in mesh.told()


def test_a_caller_that_no_certificate_names_is_told(mesh: Mesh) -> None:
    mesh.set("music", "MUSIC_ALLOWED_CALLERS", "spiffe://acesteps/gatway")
    assert (
        "MUSIC_ALLOWED_CALLERS lets spiffe://acesteps/gatway call, and no client's Certificate has that name"
        in mesh.told()
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["python", "-m", "services.lyric"], "and there is no such program"),
        (["python", "-m", "services.lyrics.fields"], "and there is no such program"),
        (["python", "-m", "services.signer"], "which the image does not hold"),
        (["/bin/lyrics"], "expected python -m services.lyrics, or a module below it, once"),
    ],
)
def test_a_command_that_the_image_cannot_run_is_told(mesh: Mesh, command: list[str], expected: str) -> None:
    mesh.container("lyrics")["command"] = command
    told = mesh.told()
    assert f"containers[0].args: it runs `{' '.join(command)}`" in told
    assert expected in told


def test_arguments_that_double_the_images_own_command_are_told(
    mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lyrics.Dockerfile").write_text(
        'FROM x AS builtin\nENTRYPOINT ["python", "-m", "services.lyrics"]\n'
    )
    monkeypatch.setattr(code, "DOCKERFILES", tmp_path)
    del mesh.container("lyrics")["command"]
    mesh.container("lyrics")["args"] = ["-m", "services.lyrics"]
    assert "it runs `python -m services.lyrics -m services.lyrics`" in mesh.told()


def test_an_image_without_a_stage_is_told(
    mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lyrics.Dockerfile").write_text("FROM x AS built-in\n")
    monkeypatch.setattr(code, "DOCKERFILES", tmp_path)
    assert "containers[0].image: lyrics.Dockerfile has no stage builtin" in mesh.told()


def test_a_stage_takes_over_what_it_is_built_on() -> None:
    text = """
    FROM ${PYTHON_IMAGE} AS runtime
    # a comment
    ENV HOME=/tmp \\
        LANG=C.UTF-8
    ENTRYPOINT ["python"]
    CMD ["-m", "services.music"]
    FROM --platform=linux/amd64 runtime AS acestep
    ENV MUSIC_ENGINE=acestep
    """
    stage = stages("\n".join(line.strip() for line in text.splitlines()))["acestep"]
    assert stage.entrypoint == ("python",)
    assert stage.command == ("-m", "services.music")
    assert stage.environment == {"HOME": "/tmp", "LANG": "C.UTF-8", "MUSIC_ENGINE": "acestep"}


@pytest.mark.parametrize("image", code.IMAGES.values(), ids=code.IMAGES)
def test_every_image_is_built_by_a_dockerfile(image: Image) -> None:
    assert image.built is not None
    assert image.built.entrypoint[0] == "python"


def test_health_names_and_routes_are_the_codes_own() -> None:
    assert code.health_names() == {"", "liveness", "readiness"}
    assert {"/healthz", "/readyz"} <= code.routes()
