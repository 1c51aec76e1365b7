"""The ``picd`` command: encode, decode, info, bench.

Logs go to stderr; with ``--json`` one object goes to stdout. Whatever the user can mend is one
line on stderr and exit status 2, and leaves no partial file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from picd import __version__
from picd.errors import PicdError
from picd.images import make_folder, write_atomically

if TYPE_CHECKING:
    from picd.bulk import Job, Output

STAGES = ("draft", "typeset", "render")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 1 when some files of a folder failed, 2 for an
    error, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except PicdError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory for this picture: scale it down first")
    except KeyboardInterrupt:
        print("picd: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone. Python would flush stdout again at exit and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _fail(message: str) -> int:
    print(f"picd: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _encode(options: argparse.Namespace) -> int:
    from picd.bulk import PICTURE_SUFFIXES, encode_file

    names = ("quality", "bpp", "max_bytes", "content", "ocr")
    work = partial(encode_file, **{name: getattr(options, name) for name in names})
    return _run(options, work, PICTURE_SUFFIXES, ".picd")


def _decode(options: argparse.Namespace) -> int:
    from picd.bulk import decode_file

    names = ("stage", "steps", "guidance", "seed")
    bar = None if options.input.is_dir() else _ProgressBar()
    work = partial(decode_file, on_step=bar, **{name: getattr(options, name) for name in names})
    return _run(options, work, (".picd",), f".{options.stage}.png")


def _run(
    options: argparse.Namespace,
    work: Callable[..., Output],
    suffixes: Iterable[str],
    ending: str,
) -> int:
    """``work`` on the input, a file or every file of a folder."""
    if options.input.is_dir():
        return _run_folder(options, work, suffixes, ending)
    output = options.output or options.input.with_suffix(ending)
    _check_output(options.input, output, ending)
    if options.resume and output.exists():
        _log(f"{output} exists already")
        return 0
    with named(options.input):
        made = work(_read(options.input))
    write_atomically(output, made.data)
    if options.json:
        _print_json(made.description)
    _log(f"{output}: {made.summary}")
    return 0


def _run_folder(
    options: argparse.Namespace,
    work: Callable[..., Output],
    suffixes: Iterable[str],
    ending: str,
) -> int:
    from tqdm import tqdm

    from picd.bulk import mapped, plan

    out = options.output or options.input
    if out.exists() and not out.is_dir():
        raise PicdError(f"{out} is a file: give a folder for the outputs with -o")
    planned = plan(options.input, out, suffixes, ending, resume=options.resume)
    made: list[dict] = []
    failed = planned.failed

    def payloads() -> Iterator[tuple[Job, bytes]]:
        for job in planned.jobs:
            try:
                yield job, _read(job.input)
            except PicdError as error:
                failed.append((job, error))

    results = mapped(work, payloads(), engine=options.engine, jobs=options.jobs)
    with tqdm(total=len(planned.jobs), unit="file", desc="picd", disable=None) as bar:
        for job, result in results:
            try:
                with named(job.input):
                    made.append(_finish(job, result))
            except PicdError as error:
                failed.append((job, error))
            bar.update()
    for _, error in failed:
        _fail(str(error))
    if options.json:
        _print_json(
            {
                "files": made,
                "skipped": [str(job.output) for job in planned.skipped],
                "failed": [{"input": str(job.input), "error": str(e)} for job, e in failed],
            }
        )
    _log(f"{len(made)} made, {len(planned.skipped)} skipped, {len(failed)} failed")
    return 1 if failed else 0


def _finish(job: Job, result: Output | PicdError) -> dict:
    if isinstance(result, PicdError):
        raise result
    make_folder(job.output.parent)
    write_atomically(job.output, result.data)
    return {"input": str(job.input), "output": str(job.output)} | result.description


def _info(options: argparse.Namespace) -> int:
    from picd.bulk import describe, shared_codec, summary

    with named(options.input):
        info = shared_codec().info(_read(options.input))
    description = describe(info)
    if options.json:
        _print_json(description | {"version": info.version, "model": info.model, "seed": info.seed})
        return 0
    print(f"{options.input}: {summary(info)}")
    print("  ".join(f"{name} {size} B" for name, size in info.sections.items()))
    print(f"format {info.version}, model {info.model}, seed {info.seed}")
    text = " ".join(word["text"] for word in description["text"])
    if pictured := sum(line.pictured for line in info.layout.lines):
        print(f"lines that the picture shows itself: {pictured}")
    if info.halved:
        print("the picture is coded at half its size")
    print(f"text: {text}" if text else "no text")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from picd.bench import Settings, bench

    settings = Settings(options.bpp, options.peers, options.steps)
    failed = bench(
        options.input,
        options.output,
        settings,
        anchor=options.anchor,
        engine=options.engine,
        jobs=options.jobs,
    )
    for line in failed:
        _fail(line)
    _log(f"{options.output / 'report.md'} written")
    return 1 if failed else 0


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Errors about a file's content say which file."""
    try:
        yield
    except PicdError as error:
        if str(path) in str(error):
            raise
        raise PicdError(f"{path}: {error}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PicdError(f"cannot read {path}: {error.strerror or error}") from None


def _check_output(source: Path, output: Path, ending: str) -> None:
    """Refuse what cannot work before minutes are spent on it."""
    suffix = Path(ending).suffix
    if suffix == ".png" != output.suffix.lower() and not _is_special(output):
        raise PicdError(f"{output}: the output is a PNG, give it a name that ends in .png")
    if output.exists() and source.exists() and output.samefile(source):
        raise PicdError(f"{output} is the input: give another output with -o")
    if not output.parent.is_dir():
        raise PicdError(f"cannot write {output}: there is no folder {output.parent}")


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _print_json(value: dict) -> None:
    print(json.dumps(value, ensure_ascii=False))


def _log(message: str) -> None:
    print(f"picd: {message}", file=sys.stderr)


class _ProgressBar:
    """The renderer's steps on a terminal's stderr; silent elsewhere."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit="step", desc="picd", leave=False, disable=None, file=sys.stderr)

    def __call__(self, step: int, steps: int, estimate: object) -> None:
        self._bar.total = steps
        self._bar.update(step - self._bar.n)
        if step == steps:
            self._bar.close()


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _number(kind: type, low: float, high: float = float("inf")):
    """An argparse type: a number within low..high."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            limits = f"of at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"{what} {limits} is wanted, not {text!r}")
        return value

    return convert


def _rates(text: str) -> tuple[float, ...]:
    return tuple(sorted({_number(float, 1e-6, 100)(part) for part in text.split(",")}))


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="picd", description="Pictures in a few kilobytes, with the text still readable."
    )
    parser.add_argument("--version", action="version", version=f"picd {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    encode = verbs.add_parser(
        "encode",
        help="picture to .picd",
        description="Picture to .picd, or every picture below a folder.",
    )
    encode.add_argument("input", metavar="IN", type=Path, help="a picture, or a folder of them")
    encode.add_argument(
        "-o", dest="output", metavar="OUT.picd", type=Path,
        help="default: IN with .picd; for a folder, a folder (default: beside each picture)",
    )  # fmt: skip
    size = encode.add_mutually_exclusive_group()
    size.add_argument(
        "--quality", metavar="Q", type=_number(float, 1, 100), help="1..100, default 40"
    )
    size.add_argument(
        "--bpp", metavar="B", type=_number(float, 1e-6, 100), help="bits per pixel at most"
    )
    size.add_argument("--max-bytes", metavar="N", type=_number(int, 1), help="bytes at most")
    encode.add_argument("--content", choices=("auto", "screen", "natural"), default="auto")
    encode.add_argument(
        "--ocr", choices=("auto", "rapidocr", "easyocr", "tesseract", "none"), default="auto"
    )
    encode.set_defaults(run=_encode)

    decode = verbs.add_parser(
        "decode", help=".picd to PNG", description=".picd to PNG, or every .picd below a folder."
    )
    decode.add_argument(
        "input", metavar="FILE.picd", type=Path, help="a .picd, or a folder of them"
    )
    decode.add_argument(
        "-o", dest="output", metavar="OUT.png", type=Path,
        help="default: FILE.STAGE.png; for a folder, a folder (default: beside each file)",
    )  # fmt: skip
    decode.add_argument("--stage", choices=STAGES, default="render")
    decode.add_argument("--steps", metavar="N", type=_number(int, 1, 50))
    decode.add_argument("--guidance", metavar="G", type=_number(float, 0, 1000))
    decode.add_argument("--seed", metavar="S", type=_number(int, 0, 2**64 - 1))
    decode.set_defaults(run=_decode)

    info = verbs.add_parser("info", help="what a .picd says", description="What a .picd says.")
    info.add_argument("input", metavar="FILE.picd", type=Path)
    info.set_defaults(run=_info)

    bench = verbs.add_parser(
        "bench",
        help="compare with other codecs",
        description="Compare with other codecs on every picture below a folder, whose own folders "
        "are groups of the report. An interrupted run goes on where it was.",
    )
    bench.add_argument("input", metavar="DIR", type=Path)
    bench.add_argument(
        "-o", dest="output", metavar="REPORT_DIR", type=Path, required=True,
        help="for report.md, rows.csv, plots and contact sheets",
    )  # fmt: skip
    bench.add_argument(
        "--peers", metavar="NAMES", type=lambda text: tuple(text.split(",")),
        default=("jpeg", "webp", "avif", "jxl"), help="default jpeg,webp,avif,jxl",
    )  # fmt: skip
    bench.add_argument(
        "--bpp", metavar="RATES", type=_rates, default=(0.02, 0.04, 0.08),
        help="bits per pixel at most, default 0.02,0.04,0.08",
    )  # fmt: skip
    bench.add_argument("--steps", metavar="N", type=_number(int, 1, 50))
    bench.add_argument(
        "--anchor", metavar="METHOD", default="avif-half",
        help="what Bjøntegaard deltas are against: a peer, avif-half (default) or draft",
    )  # fmt: skip
    bench.set_defaults(run=_bench)

    for verb in (encode, decode, info):
        verb.add_argument("--json", action="store_true", help="one JSON object on stdout")
    for verb in (encode, decode):
        verb.add_argument("--resume", action="store_true", help="skip what is made already")
    for verb in (encode, decode, bench):
        _add_engine(verb)
    return parser


def _add_engine(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--jobs", metavar="N", type=_number(int, 1, 1024), default=1,
        help="worker processes for a folder, default 1",
    )  # fmt: skip
    verb.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="where workers run: here, or over Ray (at $RAY_ADDRESS)",
    )  # fmt: skip
