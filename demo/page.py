"""The page: a header and one tab per file."""

from __future__ import annotations

from urllib.parse import parse_qsl

import gradio as gr

from demo import endpoints, figures
from demo.compare_tab import CompareTab
from demo.compress_tab import CompressTab
from demo.decode_tab import DecodeTab
from demo.how_tab import HowTab
from demo.link import read_link
from demo.model import codec
from demo.picture_input import Chooser, example_path, same_picture
from demo.work_tab import QUICK
from picd import PicdError

KEEP, SWEEP = 3600, 300
"""Seconds: how long files are kept, and how often old ones are deleted."""


def build() -> gr.Blocks:
    with gr.Blocks(
        title="PICD: pictures in a few kilobytes",
        analytics_enabled=False,
        delete_cache=(SWEEP, KEEP),
    ) as page:
        head = gr.HTML(figures.header(), padding=False, elem_id="head")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Compress", id="compress"):
                compress = CompressTab()
            with gr.Tab("Compare", id="compare"):
                compare = CompareTab()
            with gr.Tab("Decode", id="decode"):
                decode = DecodeTab()
            with gr.Tab("How it works", id="how"):
                how = HowTab()
        endpoints.build()
        choosers = [compress.chooser, compare.chooser, how.chooser]
        same_picture(choosers)
        compress.open.click(
            lambda path: (gr.Tabs(selected="decode"), path), compress.picd, [tabs, decode.file],
            **QUICK,
        )  # fmt: skip
        _follow_link(page, compress, choosers)
        page.load(_model_state, None, head, **QUICK)
    return page


def _follow_link(page: gr.Blocks, compress: CompressTab, choosers: list[Chooser]) -> None:
    """Shows the picture and the settings that the address asks for.

    The address goes through hidden inputs, which change only when it asks for something: an answer
    that comes late to a visitor who came without must not take away a picture chosen meanwhile.
    """
    query, example = (gr.Textbox(visible="hidden") for _ in range(2))

    def read(request: gr.Request) -> tuple[str, str]:
        return str(request.query_params), read_link(dict(request.query_params)).example

    page.load(read, None, [query, example], **QUICK)
    query.change(
        lambda query: list(vars(read_link(dict(parse_qsl(query)))).values()),
        query, compress.settings(), **QUICK,
    )  # fmt: skip
    pictures = [chooser.picture for chooser in choosers]
    example.change(lambda name: [example_path(name)] * len(pictures), example, pictures, **QUICK)


def _model_state() -> str:
    """The header once the model is there, or cannot be."""
    try:
        codec()
    except PicdError:
        return figures.header("failed")
    return figures.header("ready")
