"""The page: a header and one tab per file."""

from __future__ import annotations

import gradio as gr

from demo import endpoints, figures
from demo.compare_tab import CompareTab
from demo.compress_tab import CompressTab
from demo.decode_tab import DecodeTab
from demo.how_tab import HowTab
from demo.link import read_link, usual
from demo.model import codec
from demo.picture_input import example_path, same_picture
from demo.work_tab import QUICK, Update
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
        pictures = [chooser.picture for chooser in choosers]

        def follow_link(request: gr.Request) -> Update:
            """The picture and the settings that the address asks for."""
            settings = read_link(dict(request.query_params))
            # always, for Gradio makes anew what is skipped, and a picture without its preprocess
            chosen = dict.fromkeys(pictures, example_path(settings.example))
            if settings == usual():
                return chosen
            return chosen | dict(zip(compress.settings(), vars(settings).values(), strict=True))

        page.load(follow_link, None, [*pictures, *compress.settings()], **QUICK)
        page.load(_model_state, None, head, **QUICK)
    return page


def _model_state() -> str:
    """The header once the model is there, or cannot be."""
    try:
        codec()
    except PicdError:
        return figures.header("failed")
    return figures.header("ready")
