"""`splitnet serve --metrics` as a process."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from splitnet.bundle import Bundle
from splitnet.demo.server import server_process


def test_serve_opens_the_pages_where_it_is_told(lite0_bundle: Bundle, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with server_process(lite0_bundle.path, tmp_path / "log", "--metrics", f"127.0.0.1:{port}"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as answer:
            assert answer.read() == b"ready\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert 'splitnet_model_info{fingerprint="' in answer.read().decode()
    assert "stopped" in (tmp_path / "log").read_text(encoding="utf-8")


def test_beyond_loopback_the_pages_want_a_token(lite0_bundle: Bundle) -> None:
    command = [sys.executable, "-m", "splitnet", "serve", "--bundle", str(lite0_bundle.path), "--metrics", "0.0.0.0:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "token" in done.stderr.lower()
    assert len(done.stderr.splitlines()) == 1
