"""The kinds of models that this host draws with. Nothing here needs torch: a plan is made before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ModelError
from ...latents import Latents
from ...run.memory_needs import SD, SIXTEEN, XL, Needs
from . import asking, packing, texts
from .flow import by_size, empirical_shift

DISTILLED = 3.5
"""Guidance that a model distilled from guided ones (Flux dev) is told, as in Forge's "Distilled CFG Scale"."""


def by_guidance_scale(pipeline: Any, cfg: float, guided: bool) -> Mapping[str, Any]:
    """Most pipelines ask the model twice where this is above 1; a latent consistency model is told it as a number."""
    return {"guidance_scale": cfg if guided or is_told_cfg(pipeline) else 1.0}


def by_true_cfg(pipeline: Any, cfg: float, guided: bool) -> Mapping[str, Any]:
    """Flux and Qwen-Image: `guidance_scale` is a number that some of these models themselves are told."""
    told = DISTILLED if is_distilled(pipeline) else None
    return {"true_cfg_scale": cfg if guided else 1.0, "guidance_scale": told}


def by_excess(pipeline: Any, cfg: float, guided: bool) -> Mapping[str, Any]:
    """Z-Image: how much more than once the difference counts; 0 is none."""
    return {"guidance_scale": cfg - 1 if guided else 0.0}


def is_told_cfg(pipeline: Any) -> bool:
    """Whether the model itself is told the CFG scale, so that it is asked once: a latent consistency model."""
    return network(pipeline).config.get("time_cond_proj_dim") is not None


def is_distilled(pipeline: Any) -> bool:
    """Whether the model is told its guidance as a number (DISTILLED)."""
    return bool(network(pipeline).config.get("guidance_embeds", False))


@dataclass(frozen=True)
class Family:
    """One kind of model.

    name: as people call it. pipeline: its img2img pipeline in diffusers. tile: side of an automatic tile, px. latents:
    of the models in use. cfg: the CFG scale where the person chose none. guidance: makes the pipeline's arguments of
    (pipeline, CFG scale, whether guided). pack: how the pipeline has the latents of windows; asks: how
    it asks its network. encode: its prompts. told_size: whether the model is told the picture's size. flow: it is drawn
    along straight paths from noise to picture, in bfloat16. network: diffusers' class of its transformer. encoders: the
    text encoders that it cannot do without. even_times: whether the pipeline hands even times to its scheduler, which
    else has its own (`spacing.flow_levels`). shift: of a schedule that depends on the picture, by (the scheduler's
    configuration, tokens, steps). home: the hub id of a model of this kind, whose text encoders and
    autoencoder go with a file that holds the transformer alone.
    """

    name: str
    pipeline: str
    tile: int = 1024
    latents: Latents = Latents(16, 8, 2)
    cfg: float = 1.0
    needs: Needs = SIXTEEN
    guidance: Callable[[Any, float, bool], Mapping[str, Any]] = by_guidance_scale
    pack: packing.Packing = packing.PLAIN
    asks: asking.Asks = asking.BOTH_AT_ONCE
    encode: texts.Encode = texts.clip
    told_size: bool = False
    flow: bool = True
    network: str = ""
    encoders: tuple[str, ...] = ("text_encoder",)
    even_times: bool = True
    shift: Callable[[Mapping[str, Any], int, int], float] = by_size
    home: str = ""

    @property
    def sampler(self) -> str:
        """Where the person chose none."""
        return "Euler" if self.flow else "DPM++ 2M"


STABLE_DIFFUSION = Family(
    "Stable Diffusion 1 and 2", "StableDiffusionImg2ImgPipeline",
    tile=512, latents=Latents(), cfg=7.0, needs=SD, flow=False,
)  # fmt: skip
STABLE_DIFFUSION_XL = Family(
    "Stable Diffusion XL", "StableDiffusionXLImg2ImgPipeline",
    tile=1024, latents=Latents(), cfg=7.0, needs=XL, told_size=True, flow=False, encoders=("text_encoder_2",),
)  # fmt: skip
FAMILIES = (
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    Family(
        "Stable Diffusion 3", "StableDiffusion3Img2ImgPipeline", cfg=4.5, encode=texts.stable_diffusion_3,
        network="SD3Transformer2DModel", encoders=("text_encoder", "text_encoder_2"), even_times=False,
        home="stabilityai/stable-diffusion-3.5-medium",
    ),
    Family(
        "Flux", "FluxImg2ImgPipeline",
        guidance=by_true_cfg, pack=packing.PACKED_WITH_PLACES, asks=asking.IN_TURN, encode=texts.flux,
        network="FluxTransformer2DModel", encoders=("text_encoder", "text_encoder_2"),
        home="black-forest-labs/FLUX.1-dev",
    ),
    Family(
        "Flux 2 klein", "Flux2KleinImg2ImgPipeline",
        latents=Latents(128, 16), pack=packing.ROWS_WITH_PLACES, asks=asking.IN_TURN, encode=texts.flux_2,
        network="Flux2Transformer2DModel", shift=empirical_shift, home="black-forest-labs/FLUX.2-klein-4B",
    ),
    Family(
        "Chroma", "ChromaImg2ImgPipeline", cfg=3.0,
        pack=packing.PACKED_WITH_PLACES, asks=asking.IN_TURN, encode=texts.chroma,
        network="ChromaTransformer2DModel", home="lodestones/Chroma1-HD",
    ),
    Family(
        "Qwen-Image", "QwenImageImg2ImgPipeline",
        latents=Latents(16, 8, 2, (1,)), cfg=4.0, guidance=by_true_cfg, pack=packing.PACKED, asks=asking.IN_TURN,
        encode=texts.qwen_image,
        network="QwenImageTransformer2DModel", home="Qwen/Qwen-Image",
    ),
    Family(
        "Z-Image", "ZImageImg2ImgPipeline", guidance=by_excess, pack=packing.IN_FLOAT32, asks=asking.BACKWARDS,
        encode=texts.z_image, network="ZImageTransformer2DModel", home="Tongyi-MAI/Z-Image-Turbo",
    ),
)  # fmt: skip
NAMES = ", ".join(family.name for family in FAMILIES)


def family_of(pipeline: Any) -> Family:
    """The row of a loaded pipeline, which is one of those in FAMILIES."""
    return named(type(pipeline).__name__)


def named(pipeline: str) -> Family:
    """The row of a pipeline's class. Raises ModelError for one that is none of these."""
    for family in FAMILIES:
        if family.pipeline == pipeline:
            return family
    raise ModelError(f"{pipeline} is not one of {NAMES}")


def of_any_task(pipeline: str) -> Family | None:
    """The row of a class that a model's own index names: most name the one that makes pictures from words alone."""
    stem = pipeline.removesuffix("Pipeline")
    for word in ("Img2Img", "Inpaint", "PAG"):
        stem = stem.replace(word, "")
    stem = _OF_THE_SAME_PARTS.get(stem, stem)
    return next((family for family in FAMILIES if family.pipeline == f"{stem}Img2ImgPipeline"), None)


_OF_THE_SAME_PARTS = {"LatentConsistencyModel": "StableDiffusion"}


def network_name(pipeline: Any) -> str:
    """The name of the part that predicts: unet or transformer."""
    return "unet" if getattr(pipeline, "unet", None) is not None else "transformer"


def network(pipeline: Any) -> Any:
    """The part that predicts."""
    return getattr(pipeline, network_name(pipeline))
