"""Files that must decode to the same thing for as long as their model is shipped.

``PICD_REGENERATE_GOLDEN=1 pytest tests/test_golden.py`` writes them anew: after a new format
version or new weights only, and then on purpose.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

from picd import Codec
from picd.bitstream import Container, Header
from picd.columns import layout_text
from picd.image_codec import ImageCodec
from picd.layout import PlacedWord, TextLayout, TextLine, TextStyle
from picd.layout_coder import encode_layout
from picd.nets.entropy import HyperSynthesis, SliceContext
from picd.nets.exact import ACCUMULATOR_LIMIT, ACTIVATION_LIMIT, ExactConv2d
from picd.nets.profiles import COMPACT
from picd.runtime import Models, Network
from picd.text_coder import encode_text

FOLDER = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parent.parent / "demo" / "examples"
THUMBNAIL = 4
"""Pixels to the side of a thumbnail's pixel."""
Picture = Callable[[], np.ndarray]


def part(name: str, x: int, y: int, width: int = 320, height: int = 240) -> Picture:
    """A part of a demo example."""

    def load() -> np.ndarray:
        return np.array(Image.open(EXAMPLES / f"{name}.png").convert("RGB"))[
            y : y + height, x : x + width
        ]

    return load


def plain(width: int, height: int, colour: tuple[int, int, int]) -> Picture:
    return lambda: np.full((height, width, 3), colour, np.uint8)


def noise(width: int, height: int) -> Picture:
    return lambda: np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def gradient(width: int, height: int) -> Picture:
    def draw() -> np.ndarray:
        y, x = np.mgrid[0:height, 0:width]
        return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], 2).astype(np.uint8)

    return draw


CASES: dict[str, tuple[Picture, dict]] = {
    "terminal": (part("terminal", 0, 0, 640, 360), {"max_bytes": 2000}),
    "terminal-small-budget": (part("terminal", 40, 60), {"max_bytes": 500}),
    "chart": (part("chart", 0, 0, 480, 320), {"quality": 20}),
    "pictured": (part("chart", 600, 200, 480, 300), {"quality": 80}),
    "dashboard": (part("dashboard", 200, 100), {"quality": 60}),
    "slide-natural": (part("slide", 0, 0), {"quality": 30, "content": "natural"}),
    "sign": (part("sign", 100, 100), {"quality": 45, "ocr": "none"}),
    "chat": (part("chat", 0, 0), {"quality": 1, "ocr": "none"}),
    "lowest": (part("chart", 300, 200), {"quality": 1}),
    "highest": (part("web", 100, 200, 192, 128), {"quality": 100}),
    "landscape": (part("landscape", 0, 0, 384, 256), {"quality": 50, "seed": 2**40}),
    "landscape-lowest": (part("landscape", 200, 100), {"quality": 1}),
    "landscape-highest": (part("landscape", 100, 200, 128, 128), {"quality": 100}),
    "smallest": (part("chart", 150, 150, 16, 16), {"quality": 40}),
    "odd": (part("dashboard", 50, 40, 129, 67), {"quality": 35.5}),
    "flat-strip": (gradient(1024, 16), {"quality": 40}),
    "tall-strip": (gradient(17, 500), {"quality": 70, "seed": 2**64 - 1}),
    "white": (plain(96, 80, (255, 255, 255)), {"quality": 40}),
    "noise": (noise(65, 63), {"quality": 80}),
    "unicode": (plain(200, 160, (250, 250, 245)), {"quality": 20, "ocr": "none"}),
}


def unicode_layout() -> TextLayout:
    """Words that no OCR engine would give: every plane, blanks, control characters, nothing."""
    style = TextStyle(0, 52, (20, 20, 20), (250, 250, 245))
    mono = TextStyle(12, 44, (200, 0, 30), (250, 250, 245))
    texts = [
        (style, ["Grüße,", "Ωμέγα", "Привет", "東京", "\U0001f600"]),
        (mono, ["two words", "\x1a\x00\n", "", "\ud800"]),
        (style, []),
        (style, ["ﬁn", "e\u0301", "‮RTL"]),
    ]
    lines = [
        TextLine(
            style,
            100 * (row + 1),
            tuple(PlacedWord(text, 12 + 150 * i, 20 * len(text)) for i, text in enumerate(words)),
            pictured=row == 1,
        )
        for row, (style, words) in enumerate(texts)
    ]
    return TextLayout(200, 160, tuple(lines))


def write(codec: Codec, name: str) -> None:
    """The file of a case, and what it must decode to."""
    picture, options = CASES[name]
    data = codec.encode(picture(), **options).data
    if name == "unicode":
        layout, empty = unicode_layout(), Container.unpack(data, model_id=None)
        data = Container(
            empty.header, encode_text(layout), encode_layout(layout), empty.image
        ).pack()
    facts, small = decoded_facts(codec, data)
    (FOLDER / f"{name}.picd").write_bytes(data)
    (FOLDER / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    Image.fromarray(small).save(FOLDER / f"{name}.thumbnail.png")


def decoded_facts(codec: Codec, data: bytes) -> tuple[dict, np.ndarray]:
    container = Container.unpack(data, model_id=codec.models.id)
    decoded = codec.decode(data, steps=1)
    height, width = decoded.image.shape[:2]
    size = (-(-width // THUMBNAIL), -(-height // THUMBNAIL))
    small = Image.fromarray(decoded.image).resize(size, Image.Resampling.BOX)
    facts = {
        "latents": hashlib.sha256(latents(codec.models, container).tobytes()).hexdigest(),
        "layout": hashlib.sha256(repr(decoded.layout).encode("utf-8", "replace")).hexdigest(),
        "text": layout_text(decoded.layout),
    }
    return facts, np.asarray(small)


def latents(models: Models, container: Container) -> np.ndarray:
    header: Header = container.header
    image_codec = ImageCodec(models, 1 + header.halved)
    return image_codec.decode(container.image, header.width, header.height).astype("<f4")


@pytest.fixture(scope="module", autouse=True)
def regenerated(codec: Codec) -> None:
    if not os.environ.get("PICD_REGENERATE_GOLDEN"):
        return
    for file in FOLDER.iterdir():
        file.unlink()
    for name in CASES:
        write(codec, name)


def test_every_kind_is_there(codec: Codec) -> None:
    assert sorted(file.stem for file in FOLDER.glob("*.picd")) == sorted(CASES)
    assert len(CASES) == 20
    layout = codec.info((FOLDER / "pictured.picd").read_bytes()).layout
    assert len({line.pictured for line in layout.lines}) == 2  # some typeset, some not
    assert layout.letters and layout.marks


@pytest.mark.parametrize("name", CASES)
def test_golden_file(codec: Codec, name: str) -> None:
    facts, picture = decoded_facts(codec, (FOLDER / f"{name}.picd").read_bytes())
    assert facts == json.loads((FOLDER / f"{name}.json").read_text())
    expected = np.asarray(Image.open(FOLDER / f"{name}.thumbnail.png")).astype(int)
    assert np.abs(picture.astype(int) - expected).max() <= 2


# exactness everywhere ---------------------------------------------------------------------

Call = tuple[list[np.ndarray], list[np.ndarray]]


class RecordingModels(Models):
    """Keeps what the exact networks were given and what they returned."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[Call]] = defaultdict(list)

    def __getitem__(self, name: str) -> Callable:
        network = super().__getitem__(name)

        def call(*inputs: np.ndarray) -> list[np.ndarray]:
            outputs = network(*inputs)
            self.calls[name].append(([np.array(x, np.float32) for x in inputs], outputs))
            return outputs

        return call


@pytest.fixture(scope="module")
def calls(regenerated: None) -> dict[str, list[Call]]:
    """Every call of every exact network while the golden files' latents are decoded."""
    models = RecordingModels()
    for name in CASES:
        data = (FOLDER / f"{name}.picd").read_bytes()
        latents(models, Container.unpack(data, model_id=models.id))
    exact = {name for name, entry in models.manifest["networks"].items() if entry["exact"]}
    assert set(models.calls) == exact
    return models.calls


LEVELS = ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_ALL")


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("level", LEVELS)
def test_exact_networks_in_any_session(
    codec: Codec, calls: dict[str, list[Call]], threads: int, level: str
) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{level}")
    for name, made in calls.items():
        path = codec.models.folder / codec.models.manifest["networks"][name]["file"]
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        assert_same(Network(session), made)


def test_exact_networks_in_torch(codec: Codec, calls: dict[str, list[Call]]) -> None:
    for name, made in calls.items():
        network = torch_network(codec, name)

        def run(*inputs: np.ndarray, network: torch.nn.Module = network) -> list[np.ndarray]:
            with torch.no_grad():
                outputs = network(*map(torch.from_numpy, inputs))
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            return [output.numpy() for output in outputs]

        assert_same(run, made)


def assert_same(network: Callable, made: list[Call]) -> None:
    for inputs, outputs in made:
        for ours, theirs in zip(network(*inputs), outputs, strict=True):
            assert np.array_equal(ours, theirs)


def torch_network(codec: Codec, name: str) -> torch.nn.Module:
    """The torch module of an exact network, with the integers of the shipped graph."""
    if name == "hyper_synthesis":
        network = HyperSynthesis(COMPACT.codec)
    else:
        network = SliceContext(COMPACT.codec, int(name.removeprefix("context_")))
    graph = onnx.load(codec.models.folder / f"{name}.onnx").graph
    stored = {t.name.removesuffix("_stored"): numpy_helper.to_array(t) for t in graph.initializer}
    state = {key: torch.tensor(stored[key].astype(np.float32)) for key in network.state_dict()}
    network.load_state_dict(state)
    for layer in network.modules():
        if isinstance(layer, ExactConv2d):
            layer.frozen = True
    return network.eval()


def test_no_sum_can_leave_the_integers(codec: Codec) -> None:
    """The bound in the manifest is that of the shipped weights, and below 2^24."""
    entries = codec.models.manifest["networks"]
    exact = [name for name, entry in entries.items() if entry["exact"]]
    assert len(exact) == 1 + len(codec.image_codec.slices)
    for name in exact:
        layers = [
            layer
            for layer in torch_network(codec, name).modules()
            if isinstance(layer, ExactConv2d)
        ]
        largest = max(layer.largest_accumulator() for layer in layers)
        assert largest == entries[name]["largest_accumulator"] < ACCUMULATOR_LIMIT == 2**24
        assert all(layer.weight.detach().abs().max() <= 63 for layer in layers)
        assert all(torch.equal(layer.weight, layer.weight.round()) for layer in layers)
    assert codec.image_codec.tables.hyper_limit <= ACTIVATION_LIMIT
