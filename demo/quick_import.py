"""A quicker import of gradio."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_import() -> Iterator[None]:
    """Within it, gradio does not write type stubs of its components, which takes a fifth of its
    import each time: it skips classes that have no file of their own. Nor is garbage looked for:
    what an import makes stays, and is not looked through later either."""
    getfile = inspect.getfile

    def unless_component(described: object) -> str:
        if isinstance(described, type) and described.__module__.startswith("gradio."):
            raise OSError("no file is told of a component")
        return getfile(described)

    inspect.getfile = unless_component
    gc.disable()
    try:
        yield
    finally:
        inspect.getfile = getfile
        gc.freeze()
        gc.enable()
