"""The command line: pictures or folders in, large pictures out. Exit codes: 0 done, 1 some pictures failed, 2 bad
input, 130 stopped."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..enlarge.spandrel_model import MODEL_FILES
from ..enlarge.windows import RESAMPLERS
from ..errors import InputError, ModelError, OptionError, TooLarge, UsduError
from ..host import Abilities
from ..options import Options
from ..pictures import imagefile
from ..plan import check_options, make_plan
from ..standalone.host import EMBEDDED_UPSCALER
from . import journal_command
from .flags import parser
from .jobs import Job, check_writable, jobs_of

EMBEDDED_HINT = (
    "The embedded model is small and takes no prompt. For a real one: --checkpoint FILE|FOLDER|HUB_ID (Stable "
    "Diffusion 1, 2, XL); upscalers: --upscaler FILE (any .pth/.safetensors spandrel reads, such as 4x-UltraSharp)."
)

# Options and the flags that set them: errors name what was typed.
_FLAGS = {
    "custom_scale": "--scale", "tile_width": "--tile", "tile_height": "--tile", "padding": "--padding",
    "mask_blur": "--mask-blur", "denoise": "--denoise", "seed": "--seed", "tile_batch": "--batch",
    "redraw_mode": "--redraw", "seams_fix_type": "--seams-fix", "seams_fix_denoise": "--seams-fix-denoise",
    "seams_fix_width": "--seams-fix-width", "seams_fix_padding": "--seams-fix-padding",
    "seams_fix_mask_blur": "--seams-fix-mask-blur", "upscaler": "--upscaler", "noise": "--noise", "blend": "--blend",
    "tone_lock": "--tone-lock", "seamless": "--seamless", "seams_fix_only_visible": "--seams-fix-only-visible",
    "custom_width": "--size", "custom_height": "--size", "checkpoint": "--checkpoint",
    "auto_padding": "--auto-padding", "resume": "--no-resume", "redo_tiles": "--redo-tiles",
    "number_tiles": "--number-tiles", "tile_prompts": "--tile-prompts",
    "skip_flat": "--skip-flat", "lora": "--lora", "sampler": "--sampler", "steps": "--steps", "cfg": "--cfg",
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["journal"]:  # a picture or folder of that name: ./journal
        return journal_command.main(arguments[1:])
    try:
        return _run(parser().parse_args(arguments))
    except UsduError as error:
        print(f"usdu: error: {_message(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        said = next(iter(str(error).splitlines()), "")[:300]
        print(f"usdu: error: {type(error).__name__}: {said} (python -X dev -m lib_usdu shows where)", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    options = _options(args)
    jobs = jobs_of(args)
    for target in (*(job.target for job in jobs), args.compare, args.json, args.number_tiles):
        check_writable(target, args.overwrite)
    _check(args, options, jobs)
    host = _host(args, options)
    _stop_on_interrupt(host)
    failed: list[tuple[Path, str]] = []
    at_once = min(len(jobs), host.pictures_at_once)

    def make(numbered: tuple[int, Job]) -> dict[str, Any] | None:
        number, job = numbered
        if host.stop:
            return None
        name = job.source.name if len(jobs) == 1 else f"[{number}/{len(jobs)}] {job.source.name}"
        try:
            bar = _Bar(name, quiet=args.quiet or at_once > 1)  # several bars would overwrite each other
            return _upscale_file(job, name, options, host.with_progress(bar.show), bar, args)
        except (UsduError, MemoryError) as error:
            if len(jobs) == 1:
                raise UsduError(_message(error)) from error
            failed.append((job.source, _message(error)))
            _say(f"{name}: {_message(error)}")
            return None

    if at_once > 1:
        with ThreadPoolExecutor(at_once) as pool:
            made = list(pool.map(make, enumerate(jobs, 1)))
    else:
        made = list(map(make, enumerate(jobs, 1)))
    reports = [report for report in made if report is not None]
    if args.json:
        content = (
            reports[0] if len(jobs) == 1 and reports else {"pictures": reports, "failed": [str(p) for p, _ in failed]}
        )
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if failed:
        _say(f"{len(failed)} of {len(jobs)} pictures failed:")
        for source, reason in failed:
            _say(f"  {source}: {reason}")
    return 130 if host.stop else 1 if failed else 0


def _check(args: argparse.Namespace, options: Options, jobs: list[Job]) -> None:
    """Raises, before a model is loaded, what the run would refuse. A folder's pictures are looked at in turn."""
    abilities = Abilities(
        upscalers=(*RESAMPLERS, EMBEDDED_UPSCALER), upscaler_suffixes=MODEL_FILES,
        why_not_fused=lambda: "with --ray there is no fused" if args.ray else "",
    )  # fmt: skip
    check_options(options, abilities)
    if len(jobs) == 1:
        mask = _mask(args)
        picture = imagefile.read(jobs[0].source, max_pixels=_max_pixels(args))
        make_plan(options, picture.rgb.shape[1::-1], abilities, mask=mask)


def _upscale_file(
    job: Job, name: str, options: Options, host: Any, bar: _Bar, args: argparse.Namespace
) -> dict[str, Any]:
    from ..engine import upscale
    from ..enlarge.seamless import resizer
    from ..enlarge.windows import resize
    from ..pictures.cutout import carried_outward

    picture = imagefile.read(job.source, max_pixels=_max_pixels(args))
    for note in picture.notes:
        _say(f"{name}: {note}")
    rgb = picture.rgb if picture.alpha is None else carried_outward(picture.rgb, picture.alpha)
    with bar:
        result = upscale(rgb, options, host, mask=_mask(args))
    height, width = result.image.shape[:2]
    target = job.target if result.finished else job.target.with_stem(job.target.stem + "-unfinished")
    alpha = None
    if picture.alpha is not None:
        alpha = resizer(options.seamless)(picture.alpha, width, height)
    for note in result.notes:
        _say(f"{name}: {note}")
    notes = imagefile.write(
        target, result.image, alpha=alpha, icc=picture.icc, dpi=picture.dpi, infotext=result.infotext,
        overwrite=args.overwrite,
    )  # fmt: skip
    for note in notes:
        _say(f"{name}: {note}")
    if args.compare:
        from ..pictures.compare import side_by_side

        sheet = side_by_side(resize(picture.rgb, width, height), result.image)
        imagefile.write(args.compare, sheet, overwrite=args.overwrite)
    if result.numbered is not None:
        imagefile.write(args.number_tiles, result.numbered, overwrite=args.overwrite)
    if result.finished:
        result.forget()
    elif not host.stop_requested():
        raise ModelError(f"ended early, see above; what was done is in {target}")
    stats = result.stats
    before = f"{picture.rgb.shape[1]}x{picture.rgb.shape[0]}"
    _say(f"{name}: {before} -> {width}x{height}, {stats.tiles_done} tiles, {stats.seconds:.1f} s -> {target}")
    return {
        "input": str(job.source), "output": str(target), "width": width, "height": height,
        "finished": result.finished, "tiles": stats.tiles_done, "tiles_left_out": stats.tiles_left_out,
        "tiles_flat": stats.tiles_flat,
        "batches": stats.batches,
        "seconds": round(stats.seconds, 3), "outside_ms_per_tile": round(stats.outside_ms_per_tile, 3),
        "stages": {stage: round(seconds, 3) for stage, seconds in stats.stages.items()},
        "peak_rss_mb": round(peak_rss_mb() or 0, 1) or None, "version": __version__,
    }  # fmt: skip


def _mask(args: argparse.Namespace) -> np.ndarray | None:
    """The brightness of a picture: white is redrawn."""
    if args.mask is None:
        return None
    from PIL import Image

    return np.asarray(Image.fromarray(imagefile.read(args.mask, max_pixels=_max_pixels(args)).rgb).convert("L"))


def _text(given: str | None) -> str | None:
    """The text itself, or with an @ in front the file it is in."""
    if given is None or not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{given[1:]}: cannot be read as text ({error})") from None


def _options(args: argparse.Namespace) -> Options:
    tile_width, tile_height = _pair(args.tile, "--tile")
    given = {
        "tile_width": tile_width, "tile_height": tile_height, "padding": args.padding, "mask_blur": args.mask_blur,
        "denoise": args.denoise, "seed": args.seed, "tile_batch": args.batch, "redraw_mode": args.redraw,
        "seams_fix_type": args.seams_fix, "seams_fix_denoise": args.seams_fix_denoise,
        "seams_fix_width": args.seams_fix_width, "seams_fix_padding": args.seams_fix_padding,
        "seams_fix_mask_blur": args.seams_fix_mask_blur, "upscaler": args.upscaler, "noise": args.noise,
        "blend": args.blend, "tone_lock": args.tone_lock, "custom_scale": args.scale,
        "seamless": args.seamless, "seams_fix_only_visible": args.seams_fix_only_visible,
        "auto_padding": args.auto_padding, "resume": args.resume, "redo_tiles": args.redo_tiles,
        "number_tiles": args.number_tiles is not None,
        "tile_prompts": _text(args.tile_prompts), "skip_flat": args.skip_flat,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if args.size is not None:
        given["custom_width"], given["custom_height"] = _pair(args.size, "--size", both=True)
        given["target_size_type"] = "custom"
    if args.allow_huge:
        given["max_megapixels"] = 1e6
    return Options(**given)


def _host(args: argparse.Namespace, options: Options) -> Any:
    from ..embedded import DEFAULT_UPSCALER
    from ..standalone.checkpoints import best_device
    from ..standalone.host import LocalHost

    device = _device(args.device, best_device)
    load = partial(_refiner, args, options.seed)
    if args.ray:
        from ..standalone.ray import RayRefiner

        refiner = RayRefiner(load, args.ray, args.ray_workers)
    else:
        refiner = load()
    host = LocalHost(refiner, {EMBEDDED_UPSCALER: DEFAULT_UPSCALER}, device, journal_folder=args.journal)
    host.check_upscaler(options.upscaler)
    return host


def _refiner(args: argparse.Namespace, seed: int) -> Any:
    """The engine, on this machine's device."""
    if args.engine == "identity":
        from ..standalone.host import IdentityRefiner

        return IdentityRefiner()
    from ..standalone.checkpoints import EMBEDDED, add_loras, best_device, load_checkpoint
    from ..standalone.refiner import DiffusersRefiner, Sampling

    sampling = Sampling(args.prompt, args.negative_prompt, args.sampler, args.steps, args.cfg, seed)
    if args.checkpoint == EMBEDDED:
        _say(EMBEDDED_HINT)
        if args.prompt or args.negative_prompt or args.lora or args.tile_prompts:
            _say("The embedded model has no text input: prompts and LoRA files are left out.")
    device = _device(args.device, best_device)
    pipeline, model_name = load_checkpoint(args.checkpoint, device, config=args.checkpoint_config)
    if args.checkpoint != EMBEDDED:
        add_loras(pipeline, args.lora)
    return DiffusersRefiner(pipeline, sampling, model_name)


def _device(name: str, best: Callable[[], Any]) -> Any:
    import torch

    if name == "auto":
        return best()
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise OptionError("--device", name, "auto, cpu, cuda, cuda:1, mps: what this torch and machine have") from None
    return device


def _stop_on_interrupt(host: Any) -> None:
    """Ctrl-C ends the run after the current step and keeps what is done; a second one ends it at once."""

    def stop(signum: int, frame: Any) -> None:
        host.stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _say("\nStopping; what is finished is written. Press Ctrl-C again to end at once.")

    signal.signal(signal.SIGINT, stop)


class _Bar:
    """A tqdm bar over tiles; the upscale stage has one of its own."""

    def __init__(self, name: str, *, quiet: bool):
        self._name, self._quiet, self._bar, self._stage = name, quiet, None, None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Any) -> None:
        from tqdm import tqdm

        stage = "upscale" if progress.stage == "upscale" else "tiles"
        if stage != self._stage:
            self.__exit__()
            unit = "window" if stage == "upscale" else "tile"
            self._bar = tqdm(total=progress.total, desc=f"{self._name}: {stage}", unit=unit, disable=self._quiet)
            self._stage = stage
        self._bar.update(progress.done - self._bar.n)


def peak_rss_mb() -> float | None:
    """The most memory this process has held, in MB; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; its getrusage counts the parent's memory from before exec
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1000
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _pair(text: str, flag: str, *, both: bool = False) -> tuple[int, int]:
    """ "512" or "640x512"; a single number stands for both sides unless both must be given."""
    parts = text.lower().split("x")
    if len(parts) == (2 if both else len(parts)) and len(parts) <= 2 and all(part.isdecimal() for part in parts):
        return int(parts[0]), int(parts[-1])
    raise OptionError(flag, text, "WIDTHxHEIGHT" if both else "a number of pixels, or WIDTHxHEIGHT")


def _max_pixels(args: argparse.Namespace) -> int:
    return 10**12 if args.allow_huge else 10**9


def _message(error: BaseException) -> str:
    if isinstance(error, OptionError) and error.option in _FLAGS:
        return str(error).replace(error.option, _FLAGS[error.option], 1)
    if isinstance(error, TooLarge):
        return f"{error} (--allow-huge lifts it)"
    if isinstance(error, MemoryError):
        return "not enough memory; try a smaller --scale"
    return str(error)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
