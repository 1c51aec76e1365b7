"""The priors of the text and layout coders in a model's manifest: part of its identity."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from picd.images import write_atomically
from picd.text_model import model_file

PRIORS = ("text_prior.npz", "layout_prior.json")


def prior_hashes() -> dict[str, str]:
    """SHA-256 of each embedded prior, by file name."""
    return {name: hashlib.sha256(model_file(name).read_bytes()).hexdigest() for name in PRIORS}


def update_priors(folder: Path) -> None:
    """Write the hashes of today's priors into the manifest in ``folder``: the model's id changes,
    its networks do not."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | {"priors": prior_hashes()}
    write_atomically(path, (json.dumps(manifest, indent=1) + "\n").encode())
