"""Serve the demo: ``python app.py``, then http://localhost:7860.

``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT`` change the address.
"""

from __future__ import annotations

import os

from demo.quick_import import quick_import

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
with quick_import():
    import gradio  # noqa: F401

from demo.figures import LOGO
from demo.memory import share_heaps
from demo.model import load_in_background
from demo.page import build
from demo.theme import LOOK
from demo.zero_gpu import providers_with_a_gpu  # noqa: F401  ZeroGPU looks for it

demo = build()


def main() -> None:
    share_heaps()
    demo.queue(default_concurrency_limit=1, max_size=24).launch(
        server_name=os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"),
        server_port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        max_file_size="64mb",
        footer_links=["api"],
        ssr_mode=False,
        favicon_path=LOGO,
        prevent_thread_lock=True,
        **LOOK,
    )
    load_in_background()
    demo.block_thread()


if __name__ == "__main__":
    main()
