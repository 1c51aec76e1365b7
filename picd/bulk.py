"""Many files: the work on one of them, and the one place that spreads work over processes.

The work on a file is a function of its bytes alone. This process reads and writes all files, so
that nothing but bytes travels to workers, on this machine or on a cluster, and every output is
written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent import futures
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from picd.codec import Codec, Encoded, Info
from picd.columns import layout_words
from picd.errors import PicdError
from picd.images import discard_partial, load_image, png_bytes
from picd.rendering import OnStep

ENGINES = ("local", "ray")
PICTURE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .webp .avif .gif .bmp .tif .tiff .ppm .pgm .jp2 .tga .ico".split()
)
Key = TypeVar("Key", bound=Hashable)
Payload = TypeVar("Payload")
Result = TypeVar("Result")


# the work on one file ---------------------------------------------------------------------


@dataclass(frozen=True)
class Output:
    """The bytes of the file made, what ``--json`` says of it, and a line for the log."""

    data: bytes
    description: dict[str, Any]
    summary: str


@cache
def shared_codec() -> Codec:
    """One codec in each process, loaded when the first file needs it."""
    return Codec.load()


def encode_file(data: bytes, **options: Any) -> Output:
    """An image file's bytes to a ``.picd``; ``options`` are those of :meth:`Codec.encode`.

    Raises:
        PicdError: as :meth:`Codec.encode`.
    """
    encoded = shared_codec().encode(load_image(data), **options)
    seconds = encoded.seconds
    line = f"{summary(encoded)}, {seconds['total']:.1f} s"
    return Output(encoded.data, describe(encoded) | {"seconds": seconds}, line)


def decode_file(data: bytes, on_step: OnStep | None = None, **options: Any) -> Output:
    """A ``.picd``'s bytes to a PNG; ``options`` are those of :meth:`Codec.decode`.

    Raises:
        PicdError: as :meth:`Codec.decode`.
    """
    decoded = shared_codec().decode(data, on_step=on_step, **options)
    height, width = decoded.image.shape[:2]
    description = {
        "width": width,
        "height": height,
        "steps": decoded.steps,
        "seconds": decoded.seconds,
    }
    line = f"{width}x{height}, {decoded.steps} steps, {decoded.seconds['total']:.1f} s"
    return Output(png_bytes(decoded.image), description, line)


def describe(described: Encoded | Info) -> dict[str, Any]:
    """What ``--json`` says of a ``.picd`` (DESIGN section 4)."""
    names = ("bytes", "bpp", "width", "height", "quality", "content", "sections")
    return {name: getattr(described, name) for name in names} | {
        "text": layout_words(described.layout)
    }


def summary(described: Encoded | Info) -> str:
    """The same in a line."""
    return (
        f"{described.width}x{described.height} {described.content}, {described.bytes} bytes, "
        f"{described.bpp:.4f} bpp, quality {described.quality:g}"
    )


# which files ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A file to read and the file to make of it."""

    input: Path
    output: Path


@dataclass
class Plan:
    """The jobs of a folder; what is done already and what cannot be done."""

    jobs: list[Job] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    failed: list[tuple[Job, PicdError]] = field(default_factory=list)


def plan(folder: Path, out: Path, suffixes: Iterable[str], ending: str, *, resume: bool) -> Plan:
    """Every file below ``folder`` with one of ``suffixes``, to the same place below ``out`` with
    ``ending`` for a suffix. ``resume`` skips those whose output exists, and clears up after a run
    that was killed while it wrote.

    Raises:
        PicdError: there is no such file.
    """
    result, taken = Plan(), set[Path]()
    for file in files_below(folder, suffixes):
        job = Job(file, out / file.relative_to(folder).with_suffix(ending))
        if resume:
            discard_partial(job.output)
        if job.output in taken:
            result.failed.append(
                (job, PicdError(f"{file}: {job.output} is already the output of another file"))
            )
        elif resume and job.output.exists():
            result.skipped.append(job)
        else:
            result.jobs.append(job)
        taken.add(job.output)
    return result


def files_below(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Sorted files below ``folder``, hidden ones left out.

    Raises:
        PicdError: there is none.
    """
    wanted = set(suffixes)
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in wanted and not file.name.startswith(".") and file.is_file()
    )
    if not found:
        raise PicdError(f"there are no files to work on in {folder}: {', '.join(sorted(wanted))}")
    return found


# over many processes ----------------------------------------------------------------------


def mapped(
    function: Callable[[Payload], Result],
    items: Iterable[tuple[Key, Payload]],
    *,
    engine: str = "local",
    jobs: int = 1,
) -> Iterator[tuple[Key, Result | PicdError]]:
    """``function`` of every item's payload, as (key, result) in the order they are ready.

    What ``function`` raises is that item's result, as a :class:`PicdError`, and stops nothing.
    ``items`` is read as workers become free, so payloads do not pile up. ``function`` and its
    results must be picklable. ``engine`` is "local" (this process, or ``jobs`` processes of this
    machine) or "ray" (the cluster at $RAY_ADDRESS, else ``jobs`` workers on this machine).

    Raises:
        PicdError: the engine is missing, or a local worker process died.
    """
    if engine not in ENGINES:
        raise PicdError(f"unknown engine {engine!r}: use {' or '.join(ENGINES)}")
    if engine == "local" and jobs == 1:
        for key, payload in items:
            yield key, _attempt(function, payload)
        return
    with (_processes if engine == "local" else _ray)(jobs) as (submit, wait):
        waiting: dict[Any, Key] = {}
        items = iter(items)
        while True:
            # a second item per worker, so that none waits for this process to read a file
            while len(waiting) < 2 * jobs and (item := next(items, None)):
                waiting[submit(partial(_attempt, function, item[1]))] = item[0]
            if not waiting:
                return
            for task, result in wait(list(waiting)):
                yield waiting.pop(task), result


def _attempt(function: Callable[[Payload], Result], payload: Payload) -> Result | PicdError:
    """An item's failure must not be the end of the others, whatever it is."""
    try:
        return function(payload)
    except PicdError as error:
        return error
    except MemoryError:
        return PicdError("not enough memory for this picture: scale it down first")
    except Exception as error:
        return PicdError(f"{type(error).__name__}: {' '.join(str(error).split())}")


Submit = Callable[[Callable[[], Any]], Any]
Wait = Callable[[list], Iterator[tuple[Any, Any]]]


@contextmanager
def _processes(jobs: int) -> Iterator[tuple[Submit, Wait]]:
    # spawn: a fork would copy onnxruntime's thread pools without their threads
    pool = futures.ProcessPoolExecutor(jobs, get_context("spawn"))

    def wait(tasks: list[futures.Future]) -> Iterator[tuple[futures.Future, Any]]:
        done, _ = futures.wait(tasks, return_when=futures.FIRST_COMPLETED)
        for task in done:
            yield task, task.result()

    try:
        yield pool.submit, wait
    except futures.process.BrokenProcessPool:
        raise PicdError(
            "a worker process died, perhaps for lack of memory: use fewer --jobs, and --resume"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _ray(jobs: int) -> AbstractContextManager[tuple[Submit, Wait]]:
    try:
        import ray
    except ImportError:
        raise PicdError("the engine ray needs Ray: pip install 'picd[cluster]'") from None

    def wait(tasks: list) -> Iterator[tuple[Any, Any]]:
        ready, _ = ray.wait(tasks, num_returns=1)
        for task in ready:
            yield task, ray.get(task)

    @contextmanager
    def session() -> Iterator[tuple[Submit, Wait]]:
        address = os.environ.get("RAY_ADDRESS")
        local = {} if address else {"num_cpus": jobs, "include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **local)
        except Exception as error:  # Ray raises bare exceptions when it cannot start
            raise PicdError(f"Ray does not start: {error}") from None
        try:
            call = ray.remote(_call)
            yield (lambda work: call.remote(work)), wait
        finally:
            ray.shutdown()

    return session()


def _call(work: Callable[[], Result]) -> Result:
    return work()
