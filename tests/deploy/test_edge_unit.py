"""The edge daemon's unit and its example configuration."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from splitnet.config.reading import read_toml
from splitnet.edge.config.schema import EdgeConfig

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIT = DEPLOY / "splitnet-edge.service"
ANALYZE = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
EXPOSURE = 20
"""Tenths of what `systemd-analyze security` calls the exposure level; 100 is a service without any hardening."""


def _settings() -> dict[str, dict[str, list[str]]]:
    """Section -> key -> values in order."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = found.setdefault(match[1], {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


def _seconds(key: str) -> float:
    (value,) = _settings()["Service"][key]
    return float(value)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    text, number = re.subn(
        r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert number == 1
    copy = tmp_path / UNIT.name
    copy.write_text(text, encoding="utf-8")
    return copy


def _analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ANALYZE), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@needs_analyze
def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    done = _analyze("verify", "--man=no", unit)
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])


@needs_analyze
def test_verify_would_find_a_key_that_does_not_exist(unit: Path) -> None:
    unit.write_text(unit.read_text(encoding="utf-8").replace("ProtectHome=", "ProtectHomes="), encoding="utf-8")
    assert "ProtectHomes" in _analyze("verify", "--man=no", unit).stderr


@needs_analyze
def test_the_unit_is_hardened_as_systemd_sees_it(unit: Path) -> None:
    done = _analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)
    assert done.returncode == 0, done.stdout


def test_the_hardening_that_must_not_get_lost() -> None:
    service = {key: " ".join(values) for key, values in _settings()["Service"].items()}
    for key in (
        "DynamicUser",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "NoNewPrivileges",
        "PrivateTmp",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
    ):
        assert service[key] == "yes", key
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["SystemCallFilter"].split()[0] == "@system-service"
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"}
    assert {"MemoryMax", "TasksMax"} <= service.keys()


def test_cameras_are_the_only_devices() -> None:
    service = _settings()["Service"]
    assert service["DevicePolicy"] == ["closed"]
    assert service["DeviceAllow"] == ["char-video4linux rw"]
    assert service["SupplementaryGroups"] == ["video"]
    assert "PrivateDevices" not in service


def test_systemd_hears_from_the_daemon_and_starts_it_again() -> None:
    found = _settings()
    service = found["Service"]
    assert service["Type"] == ["notify"]
    assert service["NotifyAccess"] == ["main"]
    assert service["Restart"] == ["on-failure"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert _seconds("WatchdogSec") > 0
    assert found["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert found["Install"]["WantedBy"] == ["multi-user.target"]


def test_unit_and_example_configuration_belong_together() -> None:
    service = _settings()["Service"]
    (command,) = service["ExecStart"]
    assert command.split()[1:] == ["edge", "daemon", "--config", "/etc/splitnet/edge.toml"]
    config = read_toml(DEPLOY / "edge.toml").validate(EdgeConfig)
    state = Path("/var/lib") / service["StateDirectory"][0]
    assert config.state == state
    assert config.grace < _seconds("TimeoutStopSec")
    # Nothing else can be written to.
    assert all(state in Path(getattr(sink, "path", state / "_")).parents for sink in config.sinks.values())
    assert {source.sink for source in config.sources.values()} <= config.sinks.keys()
    assert {source.model for source in config.sources.values()} <= config.models.keys()
    assert config.page is not None
    assert config.page.listen.startswith("127.0.0.1:")
