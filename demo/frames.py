"""Pictures on their way to the page, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from picd.images import png_bytes


class Frames:
    """Writes pictures, uint8 (H, W, 3), into ``folder``, and returns their paths. Arrays given to
    Gradio itself would be compressed again with every update of the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def png(self, picture: np.ndarray) -> str:
        """Exactly the picture."""
        path = self.folder / f"{self._next()}.png"
        path.write_bytes(png_bytes(picture))
        return str(path)

    def jpeg(self, picture: np.ndarray) -> str:
        """Quickly, for what is soon replaced."""
        path = self.folder / f"{self._next()}.jpg"
        Image.fromarray(picture).save(path, quality=90, subsampling=0)
        return str(path)

    def file(self, name: str, data: bytes) -> str:
        """A file to download, under the name given."""
        folder = self.folder / "files"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        return str(folder / name)

    def _next(self) -> str:
        self._count += 1
        return f"frame-{self._count}"
