"""A setting that is valid by itself, and wrong beside the rest of the mesh, is told."""

from tests.deploy.conftest import Mesh


def test_a_production_that_is_called_development_is_told(mesh: Mesh) -> None:
    told = mesh.told("overlays/production")
    assert "GATEWAY_ENVIRONMENT is development; expected production" in told
    assert "LYRICS_ENVIRONMENT is development" in told
    assert "ENVIRONMENT is" not in mesh.told("overlays/staging")


def test_a_public_url_that_no_route_has_is_told(mesh: Mesh) -> None:
    mesh("HTTPRoute/gateway")["spec"]["hostnames"] = ["songs.example.com"]
    mesh.set("gateway", "GATEWAY_PUBLIC_URL", "https://song.example.com")
    told = "GATEWAY_PUBLIC_URL leads to song.example.com, and no HTTPRoute has that name; expected songs."
    assert told in mesh.told()
    mesh.set("gateway", "GATEWAY_PUBLIC_URL", "https://songs.example.com")
    assert mesh.told() == ""


def test_fewer_workers_than_scaling_makes_slots_are_told(mesh: Mesh) -> None:
    mesh("ScaledObject/music")["spec"]["maxReplicaCount"] = 10
    mesh.set("music", "MUSIC_SLOTS", "2")
    mesh.set("gateway", "GATEWAY_WORKERS", "10")
    assert "2 replicas have 20 workers for 20 slots of music; expected GATEWAY_WORKERS of 11" in mesh.told()
    mesh.set("gateway", "GATEWAY_WORKERS", "11")
    assert mesh.told() == ""
    mesh("HorizontalPodAutoscaler/gateway")["spec"]["minReplicas"] = 1
    assert "1 replicas have 11 workers for 20 slots" in mesh.told()
