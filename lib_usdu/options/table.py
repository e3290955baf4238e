"""The table of options: each is declared here, once, with its rule, its meaning, its command-line flag and its control.

Parsing, checks, the panel, --help and docs/options.md follow from it. The order of declaration means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .declaration import CommandFlag, Control, option
from .rules import (
    BLENDS,
    FINISHES,
    INTERROGATORS,
    NOISE_MODES,
    REDRAW_MODES,
    SEAMS_FIX_TYPES,
    SPEEDS,
    STRENGTH_MAPS,
    TARGET_SIZE_TYPES,
    Flag,
    Lines,
    Number,
    OneTile,
    Text,
    TileNumbers,
)

RedrawMode = Literal["linear", "chess", "none", "parallel", "fused"]
_FIXES = ("band", "half", "half+intersections")
_FIXING = {"seams_fix_type": _FIXES}


@dataclass(frozen=True)
class Table:
    """Each option: name, type, default, and what is declared of it. Sizes in pixels of the result."""

    tile_width: int = option(
        0, Number(0, 8192, unit="px"), "width of a tile; 0: as the height", "redraw",
        more="Both 0: automatic, 512 px or 1024 px for SDXL and later models. The model sees a tile with its padding.",
        flag=CommandFlag("--tile", "N|WxH", "size of a tile in px; 0: automatic, 512 or 1024 for SDXL", short="-t"),
        control=Control((2, 1), "Tile width", "0: automatic, 512 or 1024 for SDXL", high=2048, step=64),
    )
    tile_height: int = option(
        0, Number(0, 8192, unit="px"), "height of a tile; 0: as the width", "redraw",
        flag=CommandFlag("--tile", "N|WxH"),
        control=Control((2, 2), "Tile height", "0: same as the width", high=2048, step=64),
    )
    mask_blur: int = option(
        8, Number(0, 64, unit="px"), "softness of the blend between tiles", "overlap",
        more="The blend extends 2.5 times this value on each side, up to the padding.",
        flag=CommandFlag("--mask-blur"), control=Control((2, 1), "Mask blur"),
    )
    padding: int = option(
        32, Number(0, 512, unit="px"), "how much of its surroundings a tile sees, on each side", "overlap",
        more="Never more than the size of a tile.",
        flag=CommandFlag("--padding"), control=Control((1, 1), "Padding", "How much a tile sees around itself"),
    )
    seams_fix_width: int = option(
        64, Number(0, 512, unit="px"), "width of the band that a band pass redraws", "seams_fix",
        flag=CommandFlag("--seams-fix-width"),
        control=Control((3, 1), "Seams fix width", counts={"seams_fix_type": ("band",)}),
    )
    seams_fix_denoise: float = option(
        0.35, Number(0, 1, 0.01), "denoising strength of the seams fix", "seams_fix",
        flag=CommandFlag("--seams-fix-denoise"), control=Control((1, 2), "Seams fix denoise", counts=_FIXING),
    )
    seams_fix_padding: int = option(
        16, Number(0, 512, unit="px"), "how much a tile of the seams fix sees around itself", "seams_fix",
        flag=CommandFlag("--seams-fix-padding"),
        control=Control((2, 1), "Seams fix padding", "How much a tile of this pass sees around itself", counts=_FIXING),
    )
    upscaler: str = option(
        "None", Text(), "model that enlarges the picture before it is redrawn", "size",
        more="A name, as the webui lists it. In the API `upscaler_index` takes its position in that list instead.",
        flag=CommandFlag(
            "--upscaler", "NAME|FILE", "SPAN x4 (embedded, fits the picture), Lanczos, Nearest, None, or a model file",
            default="SPAN x4", short="-u",
        ),
        control=Control((3, 1), "Upscaler"),
    )
    save_upscaled_image: bool = option(
        True, Flag(), "save the picture after the redraw", "results", of_picture=False,
        control=Control((3, 1), "Save upscaled", "The picture after the redraw"),
    )
    redraw_mode: RedrawMode = option(
        "parallel", REDRAW_MODES, "how tiles are redrawn", "redraw",
        more="`parallel`: each tile sees the upscaled picture around itself. `linear`, `chess`: a tile sees its "
        "finished neighbours. `fused`: all tiles take each sampler step together, nearest to one pass over the whole "
        "picture. `none`: only upscale.",
        flag=CommandFlag("--redraw"),
        control=Control(
            (1, 1), "Redraw mode",
            "Parallel: best, fastest. Fused: tiles share every step. Linear, Chess: one by one. None: only upscale",
        ),
    )
    save_seams_fix_image: bool = option(
        False, Flag(), "save the picture after the seams fix", "results", of_picture=False,
        control=Control((3, 2), "Save seams fix", "The picture after the second pass", counts=_FIXING),
    )
    seams_fix_mask_blur: int = option(
        4, Number(0, 64, unit="px"), "softness of the blend of the seams fix", "seams_fix",
        flag=CommandFlag("--seams-fix-mask-blur"),
        control=Control((2, 2), "Seams fix mask blur", "Softness of this pass's blend", counts=_FIXING),
    )
    seams_fix_type: str = option(
        "none", SEAMS_FIX_TYPES, "a second pass that redraws the seams between tiles", "seams_fix",
        more="Rarely needed: tiles that share one noise leave no seams.",
        flag=CommandFlag("--seams-fix"),
        control=Control((1, 1), "Seams fix type", "A second pass over the seams. Rarely needed"),
    )
    target_size_type: str = option(
        "scale", TARGET_SIZE_TYPES, "where the size of the result comes from", "size",
        more="`scale`: `custom_scale`. `custom`: `custom_width` x `custom_height`. `img2img`: the size and the resize "
        "mode of the webui's img2img tab.",
        control=Control((1, 1), "Target size"),
    )
    custom_width: int = option(
        2048, Number(1, 65536, unit="px"), "width of the result", "size",
        more="With `target_size_type` `custom`.",
        flag=CommandFlag("--size", "WxH|Wx|xH", "exact size of the result in px, or of one side, instead of --scale"),
        control=Control((2, 1), "Custom width", low=64, high=16384, counts={"target_size_type": ("custom",)}),
    )
    custom_height: int = option(
        2048, Number(1, 65536, unit="px"), "height of the result", "size",
        more="With `target_size_type` `custom`.",
        flag=CommandFlag("--size", "WxH|Wx|xH"),
        control=Control((2, 2), "Custom height", low=64, high=16384, counts={"target_size_type": ("custom",)}),
    )
    custom_scale: float = option(
        2.0, Number(0.01, 64, 0.01), "size of the result as a multiple of the picture's size", "size",
        more="Exact to the pixel: round(side x scale).",
        flag=CommandFlag("--scale", short="-s"),
        control=Control(
            (1, 2), "Scale", "Multiple of the picture's size", low=1, high=16, counts={"target_size_type": ("scale",)}
        ),
    )

    tile_batch: int = option(
        0, Number(0, 64), "tiles per batch; 0: tuned automatically", "speed",
        more="The result is the same but for rounding. Automatic: starts by free memory and grows while that is "
        "faster; in the webui one call then holds as many tiles as take 12 seconds, so that models are moved once for "
        "all of them. 1: the same to the bit each time.",
        flag=CommandFlag("--batch"),
        control=Control((1, 1), "Tiles at once", "More: faster, more memory. 0: automatic"),
    )
    noise: Literal["canvas", "tile"] = option(
        "canvas", NOISE_MODES, "whether all tiles share one noise", "drawing",
        more="`canvas`: overlapping tiles see the same noise and draw the same things. `tile`: each tile its own.",
        flag=CommandFlag("--noise"), control=Control((1, 1), "Noise", "One noise for the whole picture avoids seams"),
    )
    blend: Literal["feather", "cut"] = option(
        "feather", BLENDS, "how overlapping tiles are put together", "overlap",
        more="`feather`: a soft ramp. `cut`: along the path where two tiles differ least.",
        flag=CommandFlag("--blend"), control=Control((2, 2), "Blend"),
    )
    tone_lock: float = option(
        1.0, Number(0, 1, 0.01), "how closely colours and brightness follow the upscaled picture", "drawing",
        more="0: as the model draws them. 1: as in the upscaled picture.",
        flag=CommandFlag("--tone-lock"),
        control=Control((1, 2), "Tone lock", "How closely colours follow the source. 0: as the model draws them"),
    )
    seamless: bool = option(
        False, Flag(), "for textures: left and right, top and bottom edges match", "drawing",
        more="The sides of the result must be multiples of 8 px.",
        flag=CommandFlag("--seamless"),
        control=Control((2, 1), "Seamless texture", "Left and right, top and bottom edges match"),
    )
    compare: bool = option(
        False, Flag(), "also make a picture of before and after, side by side", "results", of_picture=False,
        more="The webui shows it as the second picture and does not save it.",
        flag=CommandFlag(
            "--compare", "FILE", "also write before and after: a .html page with a slider, else side by side with crops"
        ),
        control=Control((2, 1), "Show before and after", "A second picture, side by side. It is not saved"),
    )
    auto_padding: bool = option(
        False, Flag(), "choose the padding by the denoising strength", "overlap",
        more="32 px up to 0.35, 64 up to 0.5, 96 up to 0.6, 128 above. `padding` is ignored.",
        flag=CommandFlag("--auto-padding"),
        control=Control((1, 2), "Automatic padding", "Grows with the denoising strength. Padding is ignored"),
    )
    resume: bool = option(
        True, Flag(), "continue a stopped run from its finished tiles", "repair", of_picture=False,
        more="Finished tiles and the upscaled picture stay on disk until the result is written.",
        flag=CommandFlag("--no-resume", help="keep no finished tiles on disk: a stopped run starts again"),
        control=Control(
            (1, 1), "Continue an interrupted run", "If a run stops, the next one continues from the finished tiles"
        ),
    )
    redo_tiles: str = option(
        "all", TileNumbers(), "redraw only these tiles of a finished picture, for example 3, 7-9; or all", "repair",
        of_picture=False,
        more="Give the finished picture, scale 1 and the tile size it was made with. Change seed, prompt or denoising "
        "strength.",
        flag=CommandFlag("--redo-tiles", "3,7-9"),
        control=Control((2, 1), "Redo these tiles", "Numbers of tiles of a finished picture, such as 3, 7-9; or all"),
    )
    number_tiles: bool = option(
        False, Flag(), "also make a picture that shows the number of each tile", "repair", of_picture=False,
        flag=CommandFlag("--number-tiles", "FILE", "also write a picture that shows the number of each tile"),
        control=Control((3, 1), "Number the tiles", "A second picture shows the number of each tile"),
    )
    tile_prompts: str = option(
        "", Lines(), "added to the prompt: one line per tile, or '3-7: text', 'row,column: text'", "prompts",
        more="Line n is for tile n; tile 1 is the top left one, then row by row. `7: text`, `3-7: text` and "
        "`2,4: text` (row 2, column 4) name a place.",
        flag=CommandFlag("--tile-prompts", "TEXT|@FILE"), control=Control((1, 1), "Per-tile prompts", lines=3),
    )
    interrogator: str = option(
        "none", INTERROGATORS, "describes each tile; its words are added to the prompt", "prompts",
        more="`clip`, `deepbooru`: the webui's own models.",
        control=Control((2, 1), "Describe each tile", "A model of the webui adds words to the prompt of each tile"),
    )
    finish: str = option(
        "none", FINISHES, "runs once on the finished picture, never on tiles", "results",
        more="`faces`: the webui's face restoration. `adetailer`: that extension, with its own settings.",
        control=Control((1, 1), "Finishing pass", "Runs once on the finished picture, never on tiles"),
    )
    skip_flat: float = option(
        0.0, Number(0, 32, 0.1, "levels"), "skip tiles with less detail than this; 0: redraw all", "speed",
        more="Standard deviation in each square of 16 px: 1 leaves out clear sky and blank paper. Skipped tiles stay "
        "as upscaled; the result says how many.",
        flag=CommandFlag("--skip-flat", "LEVELS"),
        control=Control((1, 2), "Skip flat tiles", "Skip tiles with less detail than this. 0 redraws all", high=8),
    )

    try_tile: str = option(
        "none", OneTile(), "redraw only this tile and show it before and after: a number, or auto", "try",
        of_picture=False,
        more="`auto`: the tile with the most detail. The webui saves nothing. With the redraw mode `parallel` the tile "
        "is kept: the run with the same settings takes it as it is.",
        flag=CommandFlag("--try-tile", "N|auto", "redraw one tile only, before and after as NAME-2x-tile-N.png"),
        control=Control((1, 1), "Tile to try", "Of one run: redraws only this tile and shows before and after"),
    )
    creativity: float = option(
        0.0, Number(0, 1, 0.01), "how much is drawn anew, whatever the model; 0: by the denoising strength", "strength",
        more="The share of noise that the sampler begins with. The host's own schedule says which denoising strength "
        "that is with this model, sampler and number of steps; that strength is used, and a denoising strength that "
        "was given is not. 0.2 keeps the picture, 0.35 redraws clearly, 0.5 invents detail.",
        flag=CommandFlag("--creativity"),
        control=Control((1, 1), "Creativity", "New detail: moves the denoising strength"),
    )
    resemblance: float = option(
        0.0, Number(0, 1, 0.05), "how closely each step follows the upscaled picture", "strength",
        more="0: as the model draws it. Higher values hold shapes and places to the upscaled picture, from coarse to "
        "fine. Fine detail stays the model's: with 0.5 a denoising strength of 0.5 or 0.6 adds detail without moving "
        "the picture.",
        flag=CommandFlag("--resemblance"),
        control=Control((1, 2), "Resemblance", "Holds shapes to the source: more strength adds detail only"),
    )
    speed: Literal["exact", "fast", "fastest"] = option(
        "exact", SPEEDS, "how much of the model runs at each step", "speed",
        more="`exact`: all of it. `fast`: the inner part of the network at every third step, the answer without the "
        "prompt at two steps or while noise prevails. `fastest`: the inner part at every fourth step. On a processor "
        "the autoencoder is quicker too. [speed.md](speed.md) says what each costs.",
        flag=CommandFlag("--speed"),
        control=Control((2, 1), "Speed", "Faster: parts of the model rest at most steps. Nearly the same picture"),
    )

    strength_map: Literal["none", "detail", "mask"] = option(
        "none", STRENGTH_MAPS, "where how much of the denoising strength counts", "drawing",
        more="`detail`: less where the picture is smooth, none in clear sky and blurred background; tiles without "
        "anything else are left out. `mask`: by the mask's greys, from black (as upscaled) to white (all of it).",
        flag=CommandFlag("--strength-map"),
        control=Control((2, 2), "Strength map", "Less noise in sky and blur, or by the greys of the Inpaint mask"),
    )
    overviews: bool = option(
        True, Flag(), "tell the model what surrounds a tile", "drawing",
        more="With `parallel`, one noise for all tiles, and Stable Diffusion 1, 2 and XL: colours and detail are then "
        "nearer to those of one pass over the whole picture. Other models and modes go without. "
        "[how-it-works.md](how-it-works.md#overviews) says how.",
        flag=CommandFlag("--no-overviews", help="do not tell the model what surrounds a tile"),
        control=Control((3, 1), "Overviews", "The model knows what surrounds a tile. SD 1, 2 and XL, Parallel only"),
    )

    denoise: float = option(
        0.25, Number(0, 1, 0.01), "denoising strength: how much is drawn anew", "redraw",
        more="In the webui and its API: the img2img tab's `denoising_strength`.",
        flag=CommandFlag("--denoise", short="-d"),
    )
    seed: int = option(
        1, Number(0, 2**64 - 1), "seed of the noise", "drawing",
        more="In the webui and its API: the tab's `seed`.", flag=CommandFlag("--seed"),
    )
    max_megapixels: float = option(
        1000.0, Number(0.000001, 1e9, 0.01), "largest result, in megapixels", "size", of_picture=False,
        more="In the webui: its flag `--usdu-max-megapixels`. On the command line `--allow-huge` lifts the limit.",
    )  # fmt: skip
