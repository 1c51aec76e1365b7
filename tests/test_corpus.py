"""The text that the prior is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from picd.training import corpus

ENGLISH = "Choose the folder to keep the files of this project in, and the name for it. "
GERMAN = "Der Ordner, in dem alle Dateien des Projekts liegen, und sein Name, bitte. "


def test_foreign_manuals_and_broken_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(f"<p>{ENGLISH * 12}</p>")
    (tmp_path / "b.html").write_text(f"<p>{GERMAN * 12}</p>")
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "d.txt").write_text("Cut\n\nCopy\n\nPaste")  # labels have no such words
    text = "".join(corpus.screen_texts([tmp_path]))
    assert text.split().count("Choose") == 12 and "Paste" in text and "Ordner" not in text


def test_a_long_manual_does_not_outweigh_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "MAX_FOLDER_BYTES", 1000)
    for folder, pages in (("long", 90), ("short", 2)):
        (tmp_path / folder).mkdir()
        for page in range(pages):
            (tmp_path / folder / f"{page}.txt").write_text(f"{folder} {page}: {ENGLISH * 2}")
    texts = list(corpus.screen_texts([tmp_path / "long", tmp_path / "short"]))
    assert 1000 < sum(len(text) for text in texts if text.startswith("long")) < 1400
    assert sum(text.startswith("short") for text in texts) == 2
