"""The evaluation command, and the likeness that training asks for."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from picd.metrics import character_error_rate, psnr
from picd.training import __main__ as training
from picd.training.evaluate import hardly_changed
from picd.training.similarity import unlike


def test_evaluation_measures_every_stage_at_every_rate(
    page: np.ndarray, tmp_path: Path, tesseract: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "pages").mkdir()
    Image.fromarray(page).save(tmp_path / "pages" / "000000.png")
    shown = "Weather report Morning fog, then sun Wind from the north High 21, low 9"
    words = [{"text": word, "box": [0, 0, 9, 9], "line": 0} for word in [*shown.split(), "unseen"]]
    (tmp_path / "pages" / "000000.json").write_text(json.dumps({"words": words}))
    command = ["evaluate", "--pages", str(tmp_path / "pages"), "-o", str(tmp_path / "out")]
    options = ["--max-bytes", "300", "1200", "--guidance", "1", "--steps", "1", "3"]
    monkeypatch.setattr(sys, "argv", ["training", *command, *options])
    assert training.main() == 0
    assert "pages 300 | pages 1200" in capsys.readouterr().out
    small, large = csv.DictReader((tmp_path / "out" / "rows.csv").open())
    for row, budget in ((small, 300), (large, 1200)):
        sections = sum(int(row[f"bytes_{s}"]) for s in ("header", "text", "layout", "image"))
        assert 0.7 * budget < int(row["bytes"]) == sections <= budget
        assert float(row["typeset_text"]) > float(row["draft_text"])
        assert float(row["typeset_cer"]) < float(row["draft_cer"])
        assert 0.5 < float(row["noise_text"]) <= 1 and 0.5 < float(row["jpeg_95_text"]) <= 1
        assert float(row["sent_text"]) > 0.5 > float(row["draft_text"])
        assert float(row["typeset_sure"]) > 0.8 > float(row["draft_sure"])
        # one of fifteen is nowhere to be read
        assert float(row["sent_right"]) == pytest.approx(14 / 15)
        assert 0.7 < float(row["original_right_enlarged"]) <= 14 / 15
        assert float(row["typeset_right_enlarged"]) > 0.7 > float(row["draft_right_enlarged"])
        assert row["guided_psnr"] and row["half_ssimulacra2"]
        assert row["render_3_steps_psnr"] != row["render_psnr"]
        assert float(row["typeset_psnr_beside_text"]) >= float(row["typeset_psnr"])
    assert float(large["draft_psnr_beside_text"]) > float(small["draft_psnr_beside_text"])
    sheet = Image.open(tmp_path / "out" / "sheet.png")
    assert sheet.height == 2 * 360  # a strip a rate


def test_hardly_changed_is_hardly_changed(page: np.ndarray) -> None:
    noise, jpeg = hardly_changed(page).values()
    assert np.abs(noise.astype(int) - page).max() == 1
    assert 35 < psnr(page, jpeg) < psnr(page, noise)


def test_character_error_rate() -> None:
    assert character_error_rate("Wind  from\nthe north", "Wind from the north") == 0
    assert character_error_rate("Wint from north", "Wind from the north") == pytest.approx(5 / 19)
    assert character_error_rate("", "north") == 1


def test_likeness_minds_lost_texture_and_blocks() -> None:
    random = np.random.default_rng(0)
    picture = torch.tensor(random.random((2, 3, 64, 64)), dtype=torch.float32) * 0.2 + 0.4
    flat = picture.mean((2, 3), keepdim=True).expand_as(picture)
    assert unlike(picture, picture).abs().max() < 1e-5
    assert (unlike(picture, flat) > 0.25).all()
    # far from the middle of the range too
    shifted = unlike(picture + 0.35, picture + 0.35 + 0.002)
    assert (0 <= shifted).all() and (shifted < 0.01).all()
    # colour counts where the luma is the same: red with as little luma as grey
    red = flat.clone()
    red[:, 0, :32] += 0.2
    red[:, 1, :32] -= 0.2 * 0.299 / 0.587
    assert (unlike(red, flat) > 0.02).all()
    with torch.autocast("cpu", torch.bfloat16):  # as in training
        assert unlike(picture, picture + 0.001).max() < 0.01
    # nothing is asked where the weight is zero
    left, right = torch.zeros(2, 1, 64, 64), torch.zeros(2, 1, 64, 64)
    left[..., :32], right[..., 48:] = 1, 1  # some way apart: windows overlap
    mixed = torch.where(right > 0, flat, picture)
    assert unlike(picture, mixed, left).max() < 1e-5
    assert unlike(picture, mixed, right).min() > 0.02
