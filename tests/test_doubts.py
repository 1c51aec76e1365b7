"""What a recogniser also thought of a line, and how it follows the line's parts."""

import numpy as np

from picd.doubts import doubts
from picd.layout import Doubt, Word

CHARACTERS = ["", "k", "n", "o", "w", "é", " "]
BOX = (0.0, 0.0, 10.0, 10.0)


def said(*columns):
    """Likelihoods of CHARACTERS, a column for each dictionary."""
    rows = [[column.get(character, 0.0) for character in CHARACTERS] for column in columns]
    return {(d.start, d.stop, d.text): d.odds for d in doubts(np.float32(rows), CHARACTERS)}


def test_a_letter_that_was_nearly_seen_may_come_between():
    found = said({"k": 1.0}, {"": 0.5, "n": 0.4}, {"o": 1.0}, {"o": 1.0})
    assert found == {(1, 1, "n"): np.float32(0.4) / np.float32(0.5)}


def test_a_second_choice_may_stand_for_a_letter_or_beside_it():
    assert set(said({"k": 1.0}, {"o": 0.6, "w": 0.3}, {"": 1.0})) == {
        (1, 2, "w"), (1, 1, "w"), (2, 2, "w")}  # fmt: skip


def test_a_letter_that_may_be_none_may_go_and_spaces_are_no_matter():
    assert set(said({"k": 0.7, "": 0.3}, {"": 0.6, " ": 0.4})) == {(0, 1, "")}


def test_a_letter_with_an_accent_may_have_none():
    assert set(said({"é": 1.0})) == {(0, 1, "e")}


def test_repetitions_are_one_letter_and_one_after_none_is_another():
    found = said({"o": 1.0}, {"o": 0.9, "w": 0.05}, {"": 1.0}, {"o": 0.8, "n": 0.1})
    assert {key for key in found if key[1] - key[0] == 1} == {(0, 1, "w"), (1, 2, "n")}


def test_parts_of_a_word_have_the_doubts_about_them():
    word = Word("abcd", BOX, doubts=(Doubt(0, 1, "x", 0.5), Doubt(2, 2, "y", 0.4)))
    head, tail = word.part(0, 1, BOX), word.part(1, 4, BOX)
    assert head.text == "a" and head.doubts == (Doubt(0, 1, "x", 0.5),)
    assert tail.text == "bcd" and tail.doubts == (Doubt(1, 1, "y", 0.4),)
    assert head.followed_by(tail) == word
