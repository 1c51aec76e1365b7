"""Reading the words of a picture: OCR engines behind one protocol, each imported only when used."""

from __future__ import annotations

import csv
import io
import logging
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picd.cores import cores
from picd.doubts import doubts
from picd.errors import ModelError
from picd.font_metrics import natural_extent
from picd.layout import Word
from picd.ocr_rows import one_row_each
from picd.runtime import patient

STRIP_PIXELS = 3_000_000
"""Larger pictures are read in horizontal strips of about this many pixels, at full resolution:
shrinking them would lose small text, and the detector's memory grows with the area."""
STRIP_OVERLAP = 128
LEAST_WIDTH = 160
"""Columns that a line is padded to before it is read: with half the engine's own 320, labels cost
half as much and as many words are right (979 on six generated pages)."""
PROPORTIONAL_FACE = 0
"""The face whose advances stand for those of any proportional face (to 0.2 of a character)."""


class Engine(Protocol):
    """An OCR engine. ``read`` takes uint8 (H, W, 3) RGB and returns words in reading order, boxes
    in pixels, grouped into lines by ``Word.line``."""

    name: str

    def read(self, image: NDArray[np.uint8]) -> tuple[Word, ...]: ...


class NoEngine:
    """Reads nothing: everything is left to the picture."""

    name = "none"

    def read(self, image: NDArray[np.uint8]) -> tuple[Word, ...]:
        return ()


class RapidOCREngine:
    """PP-OCR in onnxruntime; its models come inside the ``rapidocr`` wheel."""

    name = "rapidocr"

    def __init__(self) -> None:
        try:
            from rapidocr import RapidOCR
            from rapidocr.main import RapidOCRError
        except ImportError as error:
            raise ModelError("OCR engine rapidocr is missing: pip install rapidocr") from error
        self._no_text = RapidOCRError
        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        self._engine = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,  # screens hold no upside-down lines
                "Global.return_word_box": True,
                "EngineConfig.onnxruntime.intra_op_num_threads": cores(),
                "EngineConfig.onnxruntime.enable_cpu_mem_arena": False,
                "Det.limit_side_len": 320,
                "Rec.rec_batch_num": 1,  # no line is padded to another's width: faster by a fifth
                "Rec.rec_img_shape": [3, 48, LEAST_WIDTH],
            }
        )
        # It has no option for these. Two pages at a time take half as long each.
        with suppress(AttributeError):
            detector, recogniser = self._engine._load_det_model(), self._engine._load_rec_model()
            detector.session.session = patient(detector.session.session)
            recogniser.session.session = patient(recogniser.session.session, threads=1)
            recogniser.postprocess_op = _Doubting(recogniser.postprocess_op)
        # A line is little work: several at once are faster than each on several cores.
        self._readers = ThreadPoolExecutor(cores(), "read")

    def read(self, image: NDArray[np.uint8]) -> tuple[Word, ...]:
        lines: list[list[Word]] = []
        for top, bottom, core_top, core_bottom in _strips(*image.shape[:2]):
            for line in self._read_strip(image[top:bottom]):
                middle = top + line[0].box[1] + line[0].box[3] / 2
                if core_top <= middle < core_bottom:
                    lines.append([_shifted(word, top, len(lines)) for word in line])
        return tuple(word for line in lines for word in line)

    def _read_strip(self, image: NDArray[np.uint8]) -> list[list[Word]]:
        # The steps are called one by one because boxes are cut between them, and because they tell
        # the column of every character, from which words and their confidences follow better than
        # from the engine's own word boxes.
        bgr, record = image[..., ::-1].copy(), {}
        try:
            _, found = self._engine.detect_and_crop(bgr, record)
            above = np.array((0, record["padding_1"]["top"]), np.float32)
            quads = one_row_each(image, found.boxes - above)
            rows = [[row] for row in self._engine.crop_text_regions(bgr, quads)]
            read = list(self._readers.map(self._engine.recognize_txt, rows))
        except self._no_text:
            return []
        lines = zip(quads, read, strict=True)
        found = (_rapid_words(quad, it.txts[0], it.word_results[0]) for quad, it in lines)
        return [words for words in found if words]


class _Doubting:
    """Decodes what the recogniser says of lines, as ``decode`` does, and keeps its doubts."""

    def __init__(self, decode: Any) -> None:
        self._decode = decode

    def __call__(self, likely: NDArray[np.float32], *args: Any, **options: Any) -> Any:
        lines, found = self._decode(likely, *args, **options)
        for info, line in zip(found, likely, strict=True):
            info.doubts = doubts(line, self._decode.character)
        return lines, found


def _strips(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """(top, bottom, core top, core bottom) of overlapping strips whose cores tile the height."""
    count = max(1, round(height * width / STRIP_PIXELS))
    edges = [height * i // count for i in range(count + 1)]
    return [
        (max(top - STRIP_OVERLAP, 0), min(bottom + STRIP_OVERLAP, height), top, bottom)
        for top, bottom in zip(edges, edges[1:], strict=False)
    ]


def _shifted(word: Word, top: int, line: int) -> Word:
    x, y, width, height = word.box
    return replace(word, box=(x, y + top, width, height), line=line)


def _rapid_words(quad: NDArray[np.float32], text: str, info) -> list[Word]:
    """Words of one detected line, cut where the recogniser saw spaces; [] for upright text."""
    (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
    if not text.strip() or bottom - top > 1.5 * (right - left) and len(text.strip()) > 1:
        return []
    columns = [column for group in info.word_cols for column in group]
    pitch = (right - left) / info.line_txt_len
    spread = (columns[-1] - columns[0]) / max(len(text) - 1, 1)
    half = 0.5 * pitch * max(spread, 1.0)
    line = Word(text, (0.0, 0.0, 0.0, 0.0), doubts=getattr(info, "doubts", ()))
    words, start, at = [], 0, iter(columns)
    for part in text.split():
        centres = [left + (next(at) + 0.5) * pitch for _ in part]
        start = text.index(part, start)
        confidence = float(np.mean(info.confs[start : start + len(part)]))
        begin, start = start, start + len(part)
        x0, x1 = max(centres[0] - half, left), min(centres[-1] + half, right)
        if len(columns) == 1:  # the pitch of a lone character says nothing of its width
            x0, x1 = left, right
        box = (float(x0), float(top), float(x1 - x0), float(bottom - top))
        word = replace(line.part(begin, start, box), confidence=confidence)
        if words and _one_number(words[-1], part, x0):
            words[-1] = words[-1].followed_by(word)
        else:
            words.append(word)
    return words


def _one_number(word: Word, part: str, start: float) -> bool:
    """Whether ``part`` goes on with the number that ``word`` ends with: recognisers see spaces
    between digits where there is no room for one (real ones measure 0.2 of the box's height)."""
    gap = start - word.box[0] - word.box[2]
    return word.text[-1].isdigit() and part[0].isdigit() and gap < 0.1 * word.box[3]


class EasyOCREngine:
    """EasyOCR (torch), with weights from $PICD_EASYOCR or, without that, from its own folder
    ($EASYOCR_MODULE_PATH/model), which it fills from its hub the first time.

    Only weights that have the checksums EasyOCR expects are read. A folder of the user's is never
    written to; in its own folder EasyOCR replaces damaged files.
    """

    name = "easyocr"

    def __init__(self) -> None:
        try:
            import easyocr
        except ImportError as error:
            raise ModelError(
                "OCR engine easyocr is missing: install the easyocr extra of this package"
            ) from error
        folder = os.environ.get("PICD_EASYOCR")
        if folder and not os.path.isdir(folder):
            raise ModelError(
                f"easyocr cannot load its weights: $PICD_EASYOCR is no folder: {folder}"
            )
        try:
            self._reader = easyocr.Reader(
                ["en"],
                gpu=False,
                model_storage_directory=folder,
                user_network_directory=folder,
                download_enabled=not folder,
                verbose=False,
            )
        except Exception as error:  # urllib, zipfile and torch errors alike mean: no weights
            raise ModelError(
                f"easyocr cannot load its weights: {_one_line(error)}: point PICD_EASYOCR to a "
                "folder with craft_mlt_25k.pth and english_g2.pth"
            ) from error

    def read(self, image: NDArray[np.uint8]) -> tuple[Word, ...]:
        words = []
        found = self._reader.readtext(image, paragraph=False, width_ths=0.3)
        for line, (quad, text, confidence) in enumerate(found):
            corners = np.asarray(quad, float)
            (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
            ink = _column_ink(image, left, top, right, bottom)
            for part, (start, stop) in zip(text.split(), _word_spans(text, ink), strict=True):
                box = (left + start * (right - left), top, (stop - start) * (right - left),
                       bottom - top)  # fmt: skip
                words.append(Word(part, tuple(map(float, box)), float(confidence), line))
        return tuple(words)


def _column_ink(
    image: NDArray[np.uint8], left: float, top: float, right: float, bottom: float
) -> NDArray[np.float64]:
    """How far each column of a line's box is from the ground, seen in its first and last row."""
    rows = slice(max(int(top), 0), max(int(bottom), int(top) + 1))
    columns = slice(max(int(left), 0), max(int(right), int(left) + 1))
    grey = image[rows, columns].mean(-1)
    return np.abs(grey - np.median(grey[[0, -1]])).mean(0)


def _word_spans(text: str, ink: NDArray[np.float64]) -> list[tuple[float, float]]:
    """(start, end) of each word of a line, in shares of its width: as a proportional or as a
    monospaced face would set them, whichever leaves less ink between words."""
    candidates = []
    for advances in ([_advance(character) for character in text], [1] * len(text)):
        edges = np.cumsum([0, *advances]) / max(sum(advances), 1)
        spans = [(edges[at], edges[at + len(part)]) for part, at in _parts(text)]
        gaps = [(end, start) for (_, end), (start, _) in zip(spans, spans[1:], strict=False)]
        candidates.append((sum(_ink_between(ink, *gap) for gap in gaps), spans))
    return min(candidates, key=lambda candidate: candidate[0])[1]


def _ink_between(ink: NDArray[np.float64], start: float, stop: float) -> float:
    first = int(start * len(ink))
    return float(ink[first : max(int(stop * len(ink)), first + 1)].mean())


def _advance(character: str) -> int:
    return natural_extent(PROPORTIONAL_FACE, character)[0]


class TesseractEngine:
    """The ``tesseract`` binary, read through its TSV output."""

    name = "tesseract"

    def __init__(self) -> None:
        self._binary = shutil.which("tesseract")
        if not self._binary:
            raise ModelError("OCR engine tesseract is missing: install the tesseract-ocr package")

    def read(self, image: NDArray[np.uint8]) -> tuple[Word, ...]:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PPM")
        command = [self._binary, "-", "-", "--psm", "11", "-l", "eng", "tsv"]
        result = subprocess.run(command, input=buffer.getvalue(), capture_output=True)
        if result.returncode:
            raise ModelError(f"tesseract failed: {_one_line(result.stderr.decode())}")
        words, lines = [], {}
        table = io.StringIO(result.stdout.decode("utf-8"))
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            text = (row["text"] or "").strip()
            if not text or float(row["conf"]) < 0:
                continue
            key = (row["block_num"], row["par_num"], row["line_num"])
            line = lines.setdefault(key, len(lines))
            box = tuple(float(row[name]) for name in ("left", "top", "width", "height"))
            words.append(Word(text, box, float(row["conf"]) / 100, line))
        return tuple(words)


def _parts(text: str) -> list[tuple[str, int]]:
    """Words of ``text`` with the index of their first character."""
    parts, start = [], 0
    for part in text.split():
        start = text.index(part, start)
        parts.append((part, start))
        start += len(part)
    return parts


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:200]


ENGINES = {
    engine.name: engine for engine in (RapidOCREngine, EasyOCREngine, TesseractEngine, NoEngine)
}


def load_engine(name: str = "auto") -> Engine:
    """The engine called ``name``: auto, rapidocr, easyocr, tesseract or none.

    ``auto`` takes rapidocr, or tesseract where rapidocr is not installed, or reads nothing.
    Raises :class:`ModelError` for unknown names and engines that cannot be loaded.
    """
    if name != "auto":
        if name not in ENGINES:
            raise ModelError(f"unknown OCR engine {name!r}: use auto, {', '.join(ENGINES)}")
        return ENGINES[name]()
    for candidate in ("rapidocr", "tesseract"):
        try:
            return ENGINES[candidate]()
        except ModelError:
            continue
    return NoEngine()
