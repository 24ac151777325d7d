"""The configuration file: what it may say, and what is said about one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from splitnet.cloud.access.clients_file import token_hash
from splitnet.cloud.batching import BatchSettings
from splitnet.cloud.config import assemble
from splitnet.cloud.config.loading import read_config, with_options
from splitnet.cloud.config.schema import ServeConfig
from splitnet.errors import ConfigError, UsageError
from tests.cloud.certificates import Authority

EVERYTHING = """
listen = "0.0.0.0:50051"
bundles = ["lite0", "/srv/faces"]
repository = "models"
watch = true
threads = 2
grace = 20

[tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"

[access]
clients = "clients.toml"
proxies = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]
forwarded_header = "x-client"

[batching]
workers = 2
decoders = 1
max_batch = 16
max_wait = 0.002
queue = 100
queue_bytes = 1_000_000

[limits]
max_frame_bytes = 1048576
streams_per_connection = 8
connections = 1000
rate = 30
burst = 60
concurrency = 8
clients_remembered = 1000

[repeats]
entries = 10
seconds = 5

[metrics]
listen = "127.0.0.1:9090"
token = { env = "METRICS" }
hosts = ["status.example.org"]

[admin]
socket = "admin.sock"

[logging]
level = "warning"
format = "json"

[tracing]
endpoint = "http://127.0.0.1:4318"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "serve.toml"


def _read(path: Path, text: str) -> ServeConfig:
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_everything(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _read(path, EVERYTHING)
    folder = path.parent
    assert config.bundles == (folder / "lite0", Path("/srv/faces"))
    assert config.repository == folder / "models"
    assert config.tls is not None
    assert config.tls.client_ca == folder / "ca.pem"
    assert config.access.clients == folder / "clients.toml"
    assert [str(one) for one in config.access.proxy_networks] == ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32"]
    assert config.batching.settings == BatchSettings(2, 1, 16, 0.002, 100, 1_000_000)
    assert (config.limits.per_client.rate, config.limits.per_client.burst) == (30.0, 60)
    monkeypatch.setenv("METRICS", "secret")
    assert assemble.pages(config).token == "secret"
    assert "secret" not in repr(config)


def test_every_key_is_documented() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/configuration.md").read_text(encoding="utf-8")
    schema = ServeConfig.model_json_schema()
    tables = [("", schema), *((name, one) for name, one in schema["$defs"].items() if name != "Secret")]
    for table, keys in tables:
        for key in keys["properties"]:
            assert f"| `{key}` |" in page or f"\n## `[{key}]`" in page, (table, key)


def test_defaults_are_those_of_the_service(path: Path) -> None:
    config = _read(path, "")
    assert config == ServeConfig.model_validate({})
    assert config.batching.settings == BatchSettings()
    assert config.listen == "127.0.0.1:50051"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("listen = ", "line 1: invalid value"),
        ('a = "x\n', "line 1: illegal character"),
        ("listen = 'here'", r"line 1, listen: the address 'here' is not HOST:PORT"),
        ("\n\nport = 1", r"line 3, port: no such key; see docs/configuration.md"),
        ("[batching]\nworkers = 0", r"line 2, batching\.workers: .* greater than or equal to 1 \(given: 0\)"),
        ("[batching]\nworkers = 'two'", r"line 2, batching\.workers: .*valid integer.* \(given: 'two'\)"),
        ("batching.queue = -1", r"line 1, batching\.queue: "),
        ("[tls]\n\ncertificate = 'x'", r"line 1, tls\.key: is missing"),
        ("bundles = [\n 'x',\n 3]", r"line 3, bundles\.1: "),
        ("[access]\nproxies = [\n'10.0.0.0/8',\n'10.0.0.1/8']", r"line 4, access\.proxies\.1: 10\.0\.0\.1/8 has host"),
        ("[access]\nforwarded_header = 'X-Y'", r"line 2, access\.forwarded_header"),
        ("[limits]\nburst = 3", r"line 1, limits: burst says nothing without rate"),
        ("[limits]\nrate = 0", r"line 2, limits\.rate: "),
        ("[metrics]\nlisten='a:1'\ntoken = 'hunter2'", r"line 3, metrics\.token: a secret does not belong in this"),
        ("[metrics]\nlisten='a:1'\ntoken = {}", r"line 3, metrics\.token: give either env or file"),
        ("[admin]\nlisten='a:1'", r"line 1, admin: an address needs a client_ca"),
        ("[logging]\nlevel = 'loud'", r"line 2, logging\.level: .*'debug', 'info', 'warning' or 'error'"),
        ("[tracing]\nendpoint = 'collector'", r"line 2, tracing\.endpoint: "),
        ("threads = 0\ngrace = -1\n", r"line 1, threads: .*; line 2, grace: "),
    ],
)
def test_errors_name_key_and_line(path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        _read(path, text)
    message = str(caught.value)
    assert message.startswith(f"{path}: line ")
    assert "\n" not in message
    assert "hunter2" not in message


def test_a_file_that_is_not_there_or_not_text(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"serve\.toml: cannot be read: No such file"):
        read_config(path)
    path.write_bytes(b"# \n# \xff")
    with pytest.raises(ConfigError, match=r"serve\.toml: line 2: not UTF-8"):
        read_config(path)


def test_secrets(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _read(path, "[metrics]\nlisten = '127.0.0.1:1'\ntoken = { env = 'METRICS' }")
    monkeypatch.delenv("METRICS", raising=False)
    with pytest.raises(ConfigError, match=r"metrics\.token: the environment variable METRICS is empty or not set"):
        assemble.pages(config)
    config = _read(path, "[metrics]\nlisten = '127.0.0.1:1'\ntoken = { file = 'token' }")
    with pytest.raises(ConfigError, match=r"metrics\.token: .*token cannot be read"):
        assemble.pages(config)
    (path.parent / "token").write_text("from a file\n", encoding="utf-8")
    assert assemble.pages(config).token == "from a file"


def test_options_override_the_file(path: Path) -> None:
    config = _read(path, EVERYTHING)
    options: dict[str, object] = {"listen": "127.0.0.1:0", "batching.workers": 7, "admin.socket": None, "grace": None}
    changed = with_options(config, options)
    assert (changed.listen, changed.batching.workers, changed.batching.queue) == ("127.0.0.1:0", 7, 100)
    assert changed.grace == 20
    assert changed.metrics == config.metrics
    with pytest.raises(UsageError, match=r"tls\.key: Field required"):
        with_options(ServeConfig.model_validate({}), {"tls.certificate": path})


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, r"TLS \(--tls-cert .*\) and authentication \(--clients"),
        ({"tls": {"certificate": "x", "key": "x"}}, r"needs authentication \(--clients"),
        ({"access": {"clients": "x"}}, r"needs TLS \(--tls-cert"),
        ({"insecure": True}, None),
        ({"tls": {"certificate": "x", "key": "x"}, "access": {"clients": "x"}}, None),
        ({"tls": {"certificate": "x", "key": "x", "client_ca": "x"}}, None),
    ],
)
def test_beyond_loopback_less_is_asked_for_by_name(options: dict[str, object], missing: str | None) -> None:
    for address in ("0.0.0.0:1", "[::]:1", "example.org:1", "10.0.0.1:1"):
        config = ServeConfig.model_validate(options | {"listen": address})
        if missing is None:
            assemble.check_safe(config)
        else:
            with pytest.raises(UsageError, match=missing):
                assemble.check_safe(config)
    for address in ("127.0.0.1:1", "localhost:1", "[::1]:1", "127.8.8.8:1"):
        assemble.check_safe(ServeConfig.model_validate(options | {"listen": address}))


def test_check_tries_every_file(path: Path, lite0_bundle: Bundle) -> None:
    folder = path.parent
    pair = Authority(folder).server()
    (folder / "clients.toml").write_text(f'[[token]]\nname = "a"\nsha256 = "{token_hash("a")}"\n', encoding="utf-8")
    text = f"""
listen = "0.0.0.0:0"
bundles = ["{lite0_bundle.path}"]
[tls]
certificate = "{pair.certificate.name}"
key = "{pair.key.name}"
[access]
clients = "clients.toml"
"""
    summary = assemble.check(_read(path, text))
    assert summary[0] == "listen 0.0.0.0:0: TLS, clients are known"
    assert summary[1].startswith("model efficientnet-lite0 1: ")
    (folder / "clients.toml").write_text("[[token]]\nname = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"clients\.toml: line 2, token\.0\.name: "):
        assemble.check(read_config(path))
    (folder / "clients.toml").write_text("", encoding="utf-8")
    pair.key.write_text("rubbish", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"are no PEM certificate with its unencrypted key"):
        assemble.check(read_config(path))
