"""``python -m picd.training prepare|codec|renderer|lora|...``: see each stage's file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from picd.errors import PicdError
from picd.nets.profiles import PROFILES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m picd.training", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepare = verbs.add_parser("prepare", help="write the cache of prepared pictures")
    prepare.add_argument("--cache", type=Path, default=Path("data/cache"))
    prepare.add_argument("--photos", type=Path, nargs="*", default=[])
    prepare.add_argument("--screens", type=Path, nargs="*", default=[])
    prepare.add_argument("--pages", type=Path, nargs="*", default=[])
    prepare.add_argument("--ocr", default="none", help="engine that reads the real screens")
    prepare.add_argument("--limit", type=int, default=None)
    unpack = verbs.add_parser("unpack", help="write shipped models as runs to go on from")
    unpack.add_argument("--profile", choices=("compact",), default="compact")
    unpack.add_argument("--models", type=Path, default=None, help="default: the embedded ones")
    unpack.add_argument("-o", "--out", type=Path, default=Path("runs"))
    evaluate = verbs.add_parser("evaluate", help="measure the shipped models outside training")
    evaluate.add_argument(
        "--pages", type=Path, default=None, help="generated with a held-back seed"
    )
    evaluate.add_argument("--screens", type=Path, nargs="*", default=[])
    evaluate.add_argument("--photos", type=Path, nargs="*", default=[])
    evaluate.add_argument("--count", type=int, default=10, help="pictures of each group")
    evaluate.add_argument(
        "--steps", type=int, nargs="+", default=[], help="of the render, and of further ones"
    )
    evaluate.add_argument("--guidance", type=float, default=None)
    evaluate.add_argument("--jobs", type=int, default=1, help="processes")
    budget = evaluate.add_mutually_exclusive_group(required=True)
    budget.add_argument("--max-bytes", type=int, nargs="+", default=[])
    budget.add_argument("--bpp", type=float, nargs="+", default=[])
    evaluate.add_argument("-o", "--out", type=Path, required=True)
    sweep = verbs.add_parser("guidance", help="measure guidance at several strengths")
    sweep.add_argument("--pages", type=Path, required=True, help="pages to measure on")
    sweep.add_argument("--count", type=int, default=4)
    sweep.add_argument("--text", type=float, nargs="+", default=[0.0], help="values of zeta 1")
    sweep.add_argument("--recompression", type=float, nargs="+", default=[0.0], help="of zeta 2")
    sweep.add_argument("--max-bytes", type=int, default=4000)
    sweep.add_argument("--steps", type=int, default=None)
    sweep.add_argument("-o", "--out", type=Path, required=True)
    for stage in ("codec", "entropy", "renderer", "lora", "recogniser"):
        verb = verbs.add_parser(stage, help=f"train the {stage}")
        verb.add_argument("--minutes", type=float, required=True)
        verb.add_argument("--profile", choices=PROFILES, default="compact")
        verb.add_argument("--cache", type=Path, default=Path("data/cache"))
        verb.add_argument("--out", type=Path, default=None, help=f"default runs/{stage}")
        verb.add_argument("--device", default="auto")
        verb.add_argument("--resume", action="store_true")
        verb.add_argument("--smoke", action="store_true", help="tiny networks on made-up crops")
        verb.add_argument("--batch", type=int, default=8)
        verb.add_argument("--crop", type=int, help="side in pixels")
        verb.add_argument("--rate", type=float, help="learning rate")
        if stage == "recogniser":
            verb.set_defaults(batch=16, crop=192, rate=2e-3)
            verb.add_argument("--pages", type=Path, nargs="+", required=True)
            verb.add_argument("--held-back", type=Path, default=None, help="pages to measure on")
        if stage == "entropy":
            verb.add_argument("--start", type=Path, default=Path("runs/codec"), help="its codec")
            verb.set_defaults(crop=320, rate=1e-3)
        if stage in ("renderer", "lora"):
            verb.add_argument("--codec", type=Path, default=Path("runs/codec"))
            verb.add_argument("--start", type=Path, help="run whose weights to begin with")
            verb.add_argument("--recogniser", type=Path, help="run of a reader of the renders")
        if stage == "renderer":
            verb.add_argument("--base", help="hub id or folder of the base model (sd21)")
        if stage == "lora":
            verb.set_defaults(start=Path("runs/renderer"))
    ablate = verbs.add_parser("ablate", help="what each level of conditioning is worth")
    ablate.add_argument("--minutes", type=float, default=8, help="of training each variant")
    ablate.add_argument("--profile", choices=("compact",), default="compact")
    ablate.add_argument("--smoke", action="store_true", help="tiny networks, for tests")
    ablate.add_argument("--cache", type=Path, default=Path("data/cache"))
    ablate.add_argument("--codec", type=Path, default=Path("runs/codec"))
    ablate.add_argument("--start", type=Path, default=Path("runs/renderer"), help="run of the base")
    ablate.add_argument("--recogniser", type=Path, default=Path("runs/recogniser"))
    ablate.add_argument("--pages", type=Path, required=True, help="held-back generated pages")
    ablate.add_argument("--count", type=int, default=6, help="pages to measure on")
    ablate.add_argument("--bpp", type=float, default=0.04)
    ablate.add_argument("--device", default="auto")
    ablate.add_argument("--batch", type=int, default=8)
    ablate.add_argument("--crop", type=int, default=128)
    ablate.add_argument("--rate", type=float, default=5e-4)
    ablate.add_argument("-o", "--out", type=Path, default=Path("runs/ablation"))
    ablate.add_argument("--docs", type=Path, default=Path("docs"))
    return parser


def _ablate(arguments: argparse.Namespace) -> None:
    from picd.training.ablate import Ablation

    recogniser = arguments.recogniser
    table = Ablation(
        profile=PROFILES["smoke" if arguments.smoke else arguments.profile],
        cache=arguments.cache,
        codec=arguments.codec,
        start=arguments.start,
        recogniser=recogniser if (recogniser / "checkpoint.pt").exists() else None,
        pages=arguments.pages,
        out=arguments.out,
        docs=arguments.docs,
        minutes=arguments.minutes,
        count=arguments.count,
        bpp=arguments.bpp,
        device=_device(arguments.device),
        options={key: vars(arguments)[key] for key in ("batch", "crop", "rate")},
    ).run()
    print(*table, sep="\n")


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main() -> int:
    arguments = _parser().parse_args()
    try:
        if arguments.verb == "prepare":
            from picd.training.prepare import prepare

            prepare(
                arguments.cache,
                photos=arguments.photos,
                screens=arguments.screens,
                pages=arguments.pages,
                ocr=arguments.ocr,
                limit=arguments.limit,
            )
            return 0
        if arguments.verb == "unpack":
            from picd.training.unpack import unpack

            runs = unpack(PROFILES[arguments.profile], arguments.models, arguments.out)
            print(*runs, sep="\n")
            return 0
        if arguments.verb == "evaluate":
            from picd.training.evaluate import Settings, evaluate, held_back

            samples = held_back(
                arguments.pages, arguments.screens, arguments.photos, arguments.count
            )
            settings = Settings(
                tuple(arguments.max_bytes),
                tuple(arguments.bpp),
                tuple(arguments.steps),
                arguments.guidance,
            )
            print(evaluate(samples, arguments.out, settings, arguments.jobs))
            return 0
        if arguments.verb == "ablate":
            _ablate(arguments)
            return 0
        if arguments.verb == "guidance":
            from picd.training.guidance import sweep

            table = sweep(
                sorted(arguments.pages.glob("*.png"))[: arguments.count],
                arguments.out,
                texts=arguments.text,
                recompressions=arguments.recompression,
                max_bytes=arguments.max_bytes,
                steps=arguments.steps,
            )
            print(table)
            return 0
        profile = PROFILES["smoke" if arguments.smoke else arguments.profile]
        full_size = arguments.verb == "renderer" and profile.name == "sd21"
        crop, rate = (profile.renderer.tile, 1e-4) if full_size else (128, 5e-4)
        options = {
            "minutes": arguments.minutes,
            "device": _device(arguments.device),
            "resume": arguments.resume,
            "batch": arguments.batch,
            "crop": arguments.crop or (256 if arguments.verb == "codec" else crop),
            "rate": arguments.rate or rate,
        }
        out = arguments.out or Path("runs") / ("sd21" if full_size else arguments.verb)
        if full_size:
            from picd.training import sd21

            options |= {"start": arguments.start, "base": arguments.base}
            sd21.train(profile, arguments.cache, arguments.codec, out, **options)
        elif arguments.verb == "codec":
            from picd.training import codec

            codec.train(profile, arguments.cache, out, **options)
        elif arguments.verb == "entropy":
            from picd.training import entropy

            entropy.train(profile, arguments.cache, out, start=arguments.start, **options)
        elif arguments.verb == "recogniser":
            from picd.training import recogniser

            options["held_back"] = arguments.held_back
            recogniser.train(profile, arguments.cache, arguments.pages, out, **options)
        else:
            from picd.training import renderer

            options |= {"start": arguments.start, "lora": arguments.verb == "lora"}
            options["recogniser_run"] = arguments.recogniser
            renderer.train(profile, arguments.cache, arguments.codec, out, **options)
    except PicdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
