"""EasyOCR through its real loading path, with weight files of its own classes.

The weights are random, so what is read is nonsense; names, format, checksums, loading, detection,
recognition and the way from boxes to words are EasyOCR's own.
"""

from __future__ import annotations

import hashlib
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch

from picd.errors import ModelError
from picd.font_metrics import natural_extent
from picd.ocr import _column_ink, _word_spans, load_engine

easyocr = pytest.importorskip("easyocr")
from easyocr import config  # noqa: E402
from easyocr.craft import CRAFT  # noqa: E402
from easyocr.model.vgg_model import Model  # noqa: E402

DETECTOR = config.detection_models["craft"]
RECOGNISER = config.recognition_models["gen2"]["english_g2"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both files under EasyOCR's names, saved as it saves them: from DataParallel."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("easyocr")
    detector = CRAFT(pretrained=False)
    # a detector that takes the whole picture for text
    torch.nn.init.constant_(detector.conv_cls[-1].bias, 1.0)
    recogniser = Model(1, 256, 256, len(RECOGNISER["characters"]) + 1)
    for model, entry in ((detector, DETECTOR), (recogniser, RECOGNISER)):
        state = torch.nn.DataParallel(model).state_dict()
        torch.save(state, folder / entry["filename"])
    return folder


@pytest.fixture
def expected(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights' folder, with their checksums in the place of the published ones."""
    for entry in (DETECTOR, RECOGNISER):
        digest = hashlib.md5((weights / entry["filename"]).read_bytes()).hexdigest()
        monkeypatch.setitem(entry, "md5sum", digest)
    monkeypatch.setenv("PICD_EASYOCR", str(weights))
    return weights


def test_reads_with_weights_of_a_local_folder(expected: Path) -> None:
    image = np.full((64, 160, 3), 255, np.uint8)
    image[20:44, 20:140:4] = 0
    words = load_engine("easyocr").read(image)
    assert words and all(word.text and " " not in word.text for word in words)
    for word in words:
        x, y, width, height = word.box
        assert width > 0 and height > 0 and -1 <= x and x + width <= 161 and y + height <= 65
        assert 0 <= word.confidence <= 1


def test_other_weights_are_refused_and_left_alone(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the substituted checksums EasyOCR's own check refuses these files."""
    monkeypatch.setenv("PICD_EASYOCR", str(weights))
    before = sorted(path.name for path in weights.iterdir())
    with pytest.raises(ModelError, match="MD5 mismatch .*PICD_EASYOCR") as error:
        load_engine("easyocr")
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in weights.iterdir()) == before


def test_a_damaged_file_is_refused(
    expected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in expected.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / RECOGNISER["filename"]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    monkeypatch.setenv("PICD_EASYOCR", str(tmp_path))
    with pytest.raises(ModelError, match="MD5 mismatch .*english_g2"):
        load_engine("easyocr")


def test_empty_and_missing_folders_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICD_EASYOCR", str(tmp_path))
    with pytest.raises(ModelError, match="Missing .*craft_mlt_25k.pth") as error:
        load_engine("easyocr")
    assert "\n" not in str(error.value)
    monkeypatch.setenv("PICD_EASYOCR", str(tmp_path / "absent"))
    with pytest.raises(ModelError, match="no folder"):
        load_engine("easyocr")
    assert not (tmp_path / "absent").exists()


def test_a_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_, **__):
        raise urllib.error.URLError("no\nnetwork")

    monkeypatch.delenv("PICD_EASYOCR", raising=False)
    monkeypatch.setattr("easyocr.easyocr.MODULE_PATH", str(tmp_path))
    monkeypatch.setattr("easyocr.utils.urlretrieve", offline)
    with pytest.raises(ModelError, match="no network.*PICD_EASYOCR") as error:
        load_engine("easyocr")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mono", [False, True])
def test_lines_split_where_their_face_has_spaces(mono: bool) -> None:
    text = "illicit WMWM fill in"
    advances = [100 if mono else natural_extent(3, character)[0] / 10 for character in text]
    edges = np.cumsum([0, *advances]).astype(int)
    image = np.full((24, edges[-1], 3), 250, np.uint8)
    for character, left, right in zip(text, edges, edges[1:], strict=False):
        if character != " ":
            image[4:20, left + 2 : right - 2] = 30
    spans = _word_spans(text, _column_ink(image, 0, 0, edges[-1], 24))
    at = 0
    for part, (start, stop) in zip(text.split(), spans, strict=True):
        first = text.index(part, at)
        at = first + len(part)
        pitch = edges[-1] / len(text)
        assert start * edges[-1] == pytest.approx(edges[first], abs=0.7 * pitch)
        assert stop * edges[-1] == pytest.approx(edges[at], abs=0.7 * pitch)
