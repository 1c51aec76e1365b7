"""What an engine misread is mended where the page shows it, and nothing else changes."""

from dataclasses import replace

import pytest
from test_typography import NAMES, page

from picd import respelling
from picd.exemplars import Exemplars
from picd.layout import Doubt
from picd.text_coder import bits_alone
from picd.typography import fit_layout


def read_as(words, readings):
    """``words`` as an engine reports them that says ``readings`` of some: text, doubts."""
    changed = []
    for word in words:
        text, *doubts = readings.get(word.text, (word.text,))
        changed.append(replace(word, text=text, doubts=tuple(doubts)))
    return changed


def texts(image, words):
    return [word.text for word in fit_layout(image, words).words]


@pytest.mark.parametrize("name", ["DejaVu Sans Mono", "Open Sans"])
def test_letters_misread_for_their_twins_are_mended(name):
    """v is V and o is O for an engine that sees lines at a size of its own."""
    image, truth, words = page(NAMES[name])
    misread = {"over": "oVer", "dog": "d0g", "fox": "foX", "many": "manY", "toxic": "toxiC"}
    said = read_as(words, {word: (text,) for word, text in misread.items()})
    assert texts(image, said) == [word.text for word in truth.words]


@pytest.mark.parametrize(
    ("word", "reading"),
    [
        ("brown", ("brwn", Doubt(2, 2, "o", 0.9), Doubt(2, 3, "v", 0.3))),  # one left out
        ("lazy", ("lazyy", Doubt(4, 5, "", 0.3))),  # one too many
        ("while", ("whlle", Doubt(2, 3, "i", 0.5))),  # another
        ("wizards", ("wizrrds", Doubt(3, 4, "a", 0.2), Doubt(0, 0, "o", 0.5))),
        ("wizards", ("wizrd", Doubt(3, 3, "a", 0.5), Doubt(5, 5, "s", 0.5))),  # two
    ],
)
def test_a_word_is_spelt_as_the_page_shows_it(word, reading):
    image, truth, words = page(NAMES["Open Sans"])
    assert texts(image, read_as(words, {word: reading})) == [w.text for w in truth.words]


def test_doubts_that_the_page_does_not_share_change_nothing():
    image, truth, words = page(NAMES["Open Sans"])
    doubts = {
        "quick": ("quick", Doubt(1, 2, "v", 0.9), Doubt(5, 5, "s", 0.9)),
        "over": ("over", Doubt(0, 1, "", 0.9), Doubt(0, 1, "c", 0.9)),
        "toxic": ("toxic", Doubt(2, 3, "n", 0.9), Doubt(1, 1, "t", 0.9)),
    }
    assert texts(image, read_as(words, doubts)) == [word.text for word in truth.words]


def test_what_was_thought_of_one_word_holds_for_its_like():
    """The engine thought of the letter that it left out at the first place only."""
    image, truth, words = page(NAMES["Open Sans"], rows=("other words", "than other", "letters"))
    first, last = (index for index, word in enumerate(words) if word.text == "other")
    words[last] = replace(words[last], text="oter")
    assert texts(image, words) == ["other", "words", "than", "oter", "letters"]
    words[first] = replace(words[first], text="oter", doubts=(Doubt(2, 2, "h", 0.9),))
    assert texts(image, words) == [word.text for word in truth.words]


def test_words_take_fewer_bits_than_what_is_none():
    for word, other in (("know", "kow"), ("Library", "Lbrary"), ("Target", "farget")):
        assert bits_alone(word) < bits_alone(other)
    assert bits_alone("\0") > 0


ROWS = ("code 1200 INFO 3040", "read 7060 bytes 8009", "seen 4051 times 3002")


@pytest.mark.parametrize("written", ["INFO", "INF0"])
def test_the_letters_of_the_page_tell_what_one_is(monkeypatch, written):
    """Whatever our faces say: a page's O is not like its noughts, and the text model likes it."""
    monkeypatch.setattr(respelling, "SEEN", 2.0)
    monkeypatch.setattr(respelling, "TWINS", {})
    rows = [row.replace("INFO", written) for row in ROWS]
    image, _, words = page(NAMES["Open Sans"], rows=rows)
    said = read_as(words, {written: ("INF0", Doubt(3, 4, "O", 0.05))})
    assert [text for text in texts(image, said) if text.startswith("INF")] == [written]
    monkeypatch.setattr(Exemplars, "likeness", lambda *_: None)
    assert "INF0" in texts(image, said)


def test_letters_that_look_like_others_of_the_page_are_those(monkeypatch):
    """Also where the engine has no doubt: an I among small letters that is the page's l."""
    monkeypatch.setattr(respelling, "SEEN", 2.0)
    image, truth, words = page(NAMES["Open Sans"], rows=("will tell In", "tools.dll Index"))
    said = read_as(words, {"tools.dll": ("tools.dIl",)})
    assert texts(image, said) == [word.text for word in truth.words]
    monkeypatch.setattr(Exemplars, "likeness", lambda *_: None)
    assert "tools.dIl" in texts(image, said)
