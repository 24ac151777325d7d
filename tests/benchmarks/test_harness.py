"""What every benchmark script shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness import Measured, main


def test_a_run_without_its_data_leaves_what_was_measured_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.json").write_text("before")
    monkeypatch.setattr("sys.argv", ["x", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"nothing was measured, nothing is written; missing: --faces FOLDER$"):
        main("x", lambda short: Measured({}, [{"missing": "--faces FOLDER"}]))
    assert (tmp_path / "x.json").read_text() == "before"
    main("x", lambda short: Measured({"a.b": 1.0}))
    assert '"a.b": 1.0' in (tmp_path / "x.json").read_text()
