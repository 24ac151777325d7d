"""Containers, manifests and proxies: what can be checked without a cluster."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from splitnet.cli import app
from splitnet.cloud.config.loading import read_config
from splitnet.cloud.config.schema import ServeConfig

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
GRPC, METRICS = 50051, 9464
COMMANDS: Any = typer.main.get_command(app)


def documents(name: str) -> list[dict[str, Any]]:
    """The YAML documents of a file below deploy/."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def strings(node: Any) -> Iterator[str]:
    """Every string in a tree."""
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def by_kind(name: str) -> dict[str, dict[str, Any]]:
    """Manifests by kind, each of which there is once."""
    found = documents(name)
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one for one in found}


def check_command(arguments: list[str]) -> None:
    """Each command and option is one that our program has."""
    command, rest = COMMANDS, list(arguments)
    while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {one for one in rest if one.startswith("--")} <= known


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: path.name)
def test_files_parse_and_say_that_they_are_untested(path: Path) -> None:
    assert documents(str(path.relative_to(DEPLOY)))
    assert path.read_text(encoding="utf-8").startswith("# Untested: ")


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("containers/*")), ids=lambda path: path.name)
def test_container_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Untested: ")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+\S*$", base) for base in bases), "a base is pinned by name and version"
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] not in ("root", "0")
    assert "HEALTHCHECK" in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"\[(\w+)\]'", text):
        assert extra in project["optional-dependencies"]
    for command in re.findall(r"^CMD \[(.*)\]$", text, re.MULTILINE):
        check_command(re.findall(r'"([^"]*)"', command))


def serve_config(text: str, folder: Path) -> ServeConfig:
    """The configuration as the service reads it."""
    path = folder / "serve.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def check_serve(config: ServeConfig, grace_given: float) -> None:
    assert config.listen == f"0.0.0.0:{GRPC}"
    assert config.metrics is not None
    assert config.metrics.listen == f"0.0.0.0:{METRICS}"
    assert config.metrics.token is not None
    assert config.access.clients is not None
    assert config.grace < grace_given


def test_compose(tmp_path: Path) -> None:
    (compose,) = documents("compose/compose.yaml")
    services = compose["services"]
    for name in ("one", "two"):
        check_command(services[name]["command"])
        assert (DEPLOY / "compose" / services[name]["build"]["context"]).resolve() == ROOT
        assert (ROOT / services[name]["build"]["dockerfile"]).is_file()
    grace = float(services["one"]["stop_grace_period"].removesuffix("s"))
    check_serve(serve_config((DEPLOY / "compose/serve.toml").read_text("utf-8"), tmp_path), grace)
    for service in services.values():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
    (prometheus,) = documents("compose/prometheus.yml")
    (scrape,) = prometheus["scrape_configs"]
    assert scrape["static_configs"][0]["targets"] == [f"one:{METRICS}", f"two:{METRICS}"]


def test_the_two_haproxy_files_are_one() -> None:
    def body(path: str) -> str:
        text = (DEPLOY / path).read_text(encoding="utf-8")
        return text[text.index("\nglobal") :]

    ours = re.sub(r"10\.0\.0\.11:", "one:", body("proxy/haproxy.cfg"))
    assert re.sub(r"10\.0\.0\.12:", "two:", ours) == body("compose/haproxy.cfg")


def test_alerts_name_metrics_that_exist() -> None:
    source = (ROOT / "splitnet/cloud/observe/metrics.py").read_text(encoding="utf-8")
    exported = set(re.findall(r'"(splitnet_\w+)"', source))
    (alerts,) = documents("compose/alerts.yml")
    for rule in alerts["groups"][0]["rules"]:
        for used in re.findall(r"splitnet_\w+", rule["expr"]):
            assert re.sub(r"_(total|bucket)$", "", used) in exported, used
        assert rule["annotations"]["summary"]


def test_kubernetes(tmp_path: Path) -> None:
    found = by_kind("kubernetes/service.yaml")
    assert {one["metadata"]["name"] for one in found.values()} == {"splitnet", "splitnet-servers"}
    pod = found["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    check_command(container["args"])
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"grpc": GRPC, "metrics": METRICS}
    assert container["startupProbe"]["grpc"]["port"] == GRPC
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "metrics"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/live", "port": "metrics"}
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in pod["spec"]["volumes"]}
    labels = pod["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert found[kind]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert {one["name"]: one["port"] for one in found["Service"]["spec"]["ports"]} == ports
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "splitnet"
    allowed = [one["ports"][0]["port"] for one in found["NetworkPolicy"]["spec"]["ingress"]]
    assert allowed == [GRPC, METRICS]
    config = serve_config(found["ConfigMap"]["data"]["serve.toml"], tmp_path)
    check_serve(config, pod["spec"]["terminationGracePeriodSeconds"] - 5)


def test_kuberay() -> None:
    from splitnet.cloud import ray_ingress

    found = by_kind("kubernetes/rayservice.yaml")
    serve = yaml.safe_load(found["RayService"]["spec"]["serveConfigV2"])
    assert serve["grpc_options"]["grpc_servicer_functions"] == [ray_ingress.SERVICER_FUNCTION]
    (application,) = serve["applications"]
    module, _, name = application["import_path"].partition(":")
    source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    assert f"def {name}(settings: AppSettings)" in source
    replica = (ROOT / "splitnet/cloud/ray_replica.py").read_text(encoding="utf-8")
    for key in application["args"]:
        assert re.search(rf"^    {key}: ", source + replica, re.MULTILINE), key
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    version = found["RayService"]["spec"]["rayClusterConfig"]["rayVersion"]
    assert f"\nray=={version}\n" in pins
    assert f"ray:{version}-" in (DEPLOY / "containers/ray.Containerfile").read_text(encoding="utf-8")
    ingress = found["NetworkPolicy"]["spec"]["ingress"]
    assert ingress[0]["ports"] == [{"port": serve["grpc_options"]["port"]}]


def test_envoy_goes_to_the_service_by_its_name() -> None:
    (envoy,) = documents("proxy/envoy.yaml")
    (cluster,) = envoy["static_resources"]["clusters"]
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    where = endpoint["address"]["socket_address"]
    assert where == {"address": "splitnet-servers", "port_value": GRPC}
    text = "\n".join(strings(envoy))
    assert "/splitnet.v1.InferenceService/" in text
