"""Cut the bundled faces out of installed font packages: ``python -m picd.training.bundle_fonts``.

Run once; ``picd/fonts`` holds the result. Subsets are renamed, as the Open Font License asks of
modified fonts with reserved names, cubic outlines become quadratic, so that every face has the
integer bounding boxes of a ``glyf`` table, and what the sources say of pairs of letters, in two
kinds of tables and by classes, becomes a ``kern`` table of plain pairs.
"""

from __future__ import annotations

import argparse
import itertools
import string
from pathlib import Path

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter, parse_unicodes
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._k_e_r_n import KernTable_format_0
from PIL import ImageFont

from picd.font_metrics import FACES, FONT_FOLDER

CHARACTERS = (
    "0020-007E,00A0-017F,0192,01A0-01A1,01AF-01B0,0218-021B,02C6-02C7,02D8-02DD,0370-03FF,"
    "0400-045F,0490-0491,1E80-1E85,1EA0-1EF9,2010-2027,2030-203A,2044,2070-2079,2080-2089,20AC,"
    "2116,2122,2126,215B-215E,2190-2199,21A9-21AA,2200-2212,221A,221E,2248,2260-2265,2318,"
    "2500-259F,25A0-25CF,2605-2606,2611-2612,2660-2666,2713-2718,FB01-FB02,FFFD"
)
KERNED = string.ascii_letters + string.digits + string.punctuation + "‘’“”–—"
"""Characters whose pairs are kerned."""
KEPT_NAMES = (0, 13, 14)  # copyright, licence, licence URL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=Path("/usr/share/fonts"))
    source = parser.parse_args().source
    # Sorted, so that Liberation 2 (Open Font License) shadows Liberation 1 (GPL).
    installed = {path.stem: path for path in sorted(source.rglob("*.[ot]tf"))}
    for face in {face.file: face for face in FACES}.values():
        bundle(installed[Path(face.file).stem], FONT_FOLDER / face.file)


def bundle(source: Path, target: Path) -> None:
    """Write the subset of ``source`` as an unhinted TrueType font to ``target``."""
    font = TTFont(source)
    options = Options(hinting=False, layout_features=[], notdef_outline=True)
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "kern", "FFTM", "DSIG", "VORG"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=parse_unicodes(CHARACTERS))
    subsetter.subset(font)
    if "glyf" not in font:
        quadratic(font)
    kern(font, source)
    rename(font, f"PICD {target.stem}")
    font.save(target)


def kern(font: TTFont, source: Path) -> None:
    """Give ``font`` a table of the pairs of :data:`KERNED` that ``source`` sets closer or wider."""
    names, shaped = font.getBestCmap(), ImageFont.Layout.RAQM
    whole = ImageFont.truetype(source, font["head"].unitsPerEm, layout_engine=shaped)
    plain = ["-liga", "-clig", "-calt"]
    table = KernTable_format_0()
    table.apple, table.coverage, table.kernTable = False, 1, {}
    for pair in itertools.product(KERNED, repeat=2):
        text = "".join(pair)
        kerned = whole.getlength(text, features=["kern", *plain])
        closer = round(kerned - whole.getlength(text, features=["-kern", *plain]))
        if closer:
            table.kernTable[tuple(names[ord(letter)] for letter in pair)] = closer
    if table.kernTable:
        font["kern"] = newTable("kern")
        font["kern"].version, font["kern"].kernTables = 0, [table]


def quadratic(font: TTFont) -> None:
    """Replace the cubic outlines of ``font`` by TrueType ones within 1/2000 em."""
    glyphs, order = font.getGlyphSet(), font.getGlyphOrder()
    outlines = {}
    for name in order:
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, font["head"].unitsPerEm / 2000, reverse_direction=True))
        outlines[name] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = order, outlines
    del font["CFF "]
    profile = font["maxp"]
    profile.tableVersion = 0x00010000
    instructions = (
        "TwilightPoints Storage FunctionDefs InstructionDefs StackElements SizeOfInstructions"
    )
    for field in (*instructions.split(), "ComponentElements"):
        setattr(profile, f"max{field}", 0)
    profile.maxZones = 1
    font["post"].formatType = 3.0
    font.sfntVersion = "\000\001\000\000"


def rename(font: TTFont, name: str) -> None:
    """Give ``font`` its own ``name``, keeping the copyright and licence records."""
    table = font["name"]
    table.names = [record for record in table.names if record.nameID in KEPT_NAMES]
    for identifier, text in ((1, name), (2, "Regular"), (4, name), (6, name.replace(" ", ""))):
        table.setName(text, identifier, 3, 1, 0x409)


if __name__ == "__main__":
    main()
