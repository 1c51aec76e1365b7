"""The one codec of the process, loaded once and in the background, and what it can do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from threading import Event

import gradio as gr
import numpy as np

from picd import Codec, ModelError, PicdError
from picd.rendering import Renderer
from picd.runtime import Models

HEAD_START = 3.0
"""Seconds that a first visitor's page has its server to itself at most, before the codec is loaded,
which takes two of them and would keep the page waiting; once the page is there it asks for it."""
_asked_for = Event()


@cache
def _loading() -> Future[Codec]:
    return ThreadPoolExecutor(1, "load").submit(_load)


def _load() -> Codec:
    _asked_for.wait(HEAD_START)
    return Codec.load()


def load_in_background() -> None:
    """Load the codec, then send a small picture through it, so that the first visitor need not wait
    for the networks and the OCR engine to be read."""
    _loading().add_done_callback(lambda future: future.exception() or _warm_up(future.result()))


def _warm_up(codec: Codec) -> None:
    codec.decode(codec.encode(np.full((64, 64, 3), 255, np.uint8), content="screen").data)


def loaded() -> bool:
    return _loading().done()


def codec() -> Codec:
    """The codec, after waiting for it. Raises what loading raised."""
    _asked_for.set()
    return _loading().result()


@cache
def default_steps() -> int:
    """The model's own number of rendering steps, known before the weights are loaded."""
    try:
        return Renderer(Models(check=False)).default_steps
    except ModelError:  # loading says what is wrong, on the page
        return 1


def most_steps() -> int:
    """The end of a slider of steps: a model that needs many must be able to have them."""
    return max(8, default_steps())


@cache
def has_guidance() -> bool:
    """Whether the model can be guided."""
    try:
        return "guidance" in Models(check=False).manifest
    except ModelError:
        return False


def steps_slider() -> gr.Slider:
    return gr.Slider(
        1,
        most_steps(),
        default_steps(),
        step=1,
        label="Rendering steps",
        info="How often the picture is estimated. Each takes as long as the first.",
        elem_classes="picd-steps",
    )


def guidance_slider() -> gr.Slider:
    return gr.Slider(
        0,
        4,
        0,
        step=0.25,
        label="Guidance",
        info="How hard each step is pulled towards the text and the draft that were sent.",
        visible=has_guidance(),
        elem_classes="picd-guidance",
    )


def ocr_engines() -> list[str]:
    """The engines that are installed here, best first."""
    modules = [name for name in ("rapidocr", "easyocr") if find_spec(name)]
    return modules + (["tesseract"] if shutil.which("tesseract") else [])


@contextmanager
def errors_for_clients() -> Iterator[None]:
    """What the caller of an endpoint can mend, as the one line it is."""
    try:
        yield
    except PicdError as error:
        raise gr.Error(str(error), title="That did not work", print_exception=False) from None
