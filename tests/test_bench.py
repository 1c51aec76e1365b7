"""The benchmark: deltas with the right sign, a run that goes on, a report that says what it is."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picd import PicdError
from picd.bench import Settings, bench
from picd.bjontegaard import bd_metric
from picd.cli import main
from picd.metrics import compare, psnr

LINE = [(0.01, 20.0), (0.1, 30.0), (1.0, 40.0)]


def test_bjontegaard_is_ours_minus_theirs() -> None:
    better = [(rate, value + 1.5) for rate, value in LINE]
    assert bd_metric(better, LINE) == pytest.approx(1.5)
    assert bd_metric(LINE, better) == pytest.approx(-1.5)
    # half the bits for the same quality, on a line of 10 per decade
    cheaper = [(rate / 2, value) for rate, value in LINE]
    assert bd_metric(cheaper, LINE) == pytest.approx(10 * np.log10(2))


def test_bjontegaard_needs_common_rates() -> None:
    assert bd_metric(LINE, [(2.0, 1.0), (3.0, 2.0)]) is None
    assert bd_metric(LINE, [(0.1, 1.0), (0.1, 1.0)]) is None


def test_compare_leaves_out_what_cannot_be_measured(page: np.ndarray) -> None:
    darker = page // 2
    assert set(compare(page, darker)) == {"psnr", "ms_ssim", "ssimulacra2", "flip"}
    small = compare(page[:100, :100], darker[:100, :100], names=("psnr", "ms_ssim"))
    assert small == {"psnr": psnr(page[:100, :100], darker[:100, :100])}


@pytest.fixture(scope="module")
def report(page: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(pictures, report) of a run over one screen and one damaged file."""
    folder = tmp_path_factory.mktemp("bench")
    pictures, out = folder / "pictures", folder / "report"
    (pictures / "screens").mkdir(parents=True)
    Image.fromarray(page[:192, :320]).save(pictures / "screens" / "page.png")
    (pictures / "screens" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = ["bench", pictures, "--peers", "jpeg,avif", "--bpp", "0.3,0.6", "-o", out]
    assert main([*map(str, arguments), "--steps", "1"]) == 1
    return pictures, out


def test_report(report: tuple[Path, Path], tesseract: str) -> None:
    _, out = report
    rows = list(csv.DictReader((out / "rows.csv").open()))
    methods = {"draft", "typeset", "render", "jpeg", "avif", "avif-half"}
    assert {row["method"] for row in rows} >= methods
    for row in rows:
        assert row["group"] == "screens" and row["name"] == "page"
        fits = int(row["bytes"]) <= float(row["rate"]) * 192 * 320 / 8
        assert fits == (row["floor"] == "False")
        assert 0 <= float(row["text"]) <= 1 and float(row["psnr"]) > 5
    text = (out / "report.md").read_text()
    assert "damaged.png" in text and "Bjøntegaard" in text and "plots/screens.png" in text
    assert "LPIPS" in text
    sheet = Image.open(out / "sheets" / "screens.page.jpg")
    assert sheet.width == 5 * 404 and Image.open(out / "plots" / "screens.png").width > 400


def test_a_run_goes_on(
    report: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    pictures, out = report
    before = (out / "rows.csv").read_bytes()
    measured = []

    def measure(data: bytes, settings: Settings) -> None:
        measured.append(len(data))
        raise PicdError("not now")

    monkeypatch.setattr("picd.bench.measure", measure)
    settings = Settings((0.3, 0.6), ("jpeg", "avif"), 1)
    bench(pictures, out, settings)
    assert measured == [8]  # the damaged one only
    assert (out / "rows.csv").read_bytes() == before
    with pytest.raises(PicdError, match="not now"):  # other settings: nothing is known
        bench(pictures, out, Settings((0.3,), ("jpeg",)))


def test_refusals_are_one_line(tmp_path: Path, page: np.ndarray, capsys) -> None:
    Image.fromarray(page).save(tmp_path / "page.png")
    for bad in (["--peers", "bpg"], []):
        source = tmp_path if bad else tmp_path / "none"
        assert main(["bench", str(source), "-o", str(tmp_path / "report"), *bad]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
