"""The diffusion model alone, as a pipeline calls it: what a run could reach if nothing else took time."""

from __future__ import annotations

from typing import Any

import torch

from .card import Card

STEPS = 5  # of 20, at a denoise of 0.25


def bare_seconds(refiner: Any, card: Card, batch: int, window: int, *, parts: bool) -> dict[str, float]:
    """Seconds a tile, "all" and where `parts` is set of "encode", "unet" and "decode" too.

    Encoded one by one, STEPS of the UNet with guidance on the whole batch, decoded one by one; no work of the
    processor's, no waiting between. An autoencoder that wants single precision has it throughout.
    """
    pipeline = refiner.pipeline
    unet, vae, device = pipeline.unet, pipeline.vae, card.device
    dtype, was = unet.dtype, vae.dtype
    precise = torch.float32 if getattr(vae.config, "force_upcast", False) else dtype
    side, draw = window // refiner.latents.scale, lambda *shape: torch.randn(*shape, device=device).to(dtype)
    latents = draw(batch, vae.config.latent_channels, side, side)
    text = draw(2 * batch, 77, unet.config.cross_attention_dim)
    more = {}
    if hasattr(pipeline, "text_encoder_2"):
        wide = unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim
        sizes = torch.full((2 * batch, 6), float(window), device=device).to(dtype)
        more = {"added_cond_kwargs": {"text_embeds": draw(2 * batch, wide), "time_ids": sizes}}
    pixels = torch.rand(1, 3, window, window, device=device).to(precise)
    when = torch.tensor(200, device=device)

    def encode() -> None:
        for _ in range(batch):
            vae.encode(pixels).latent_dist.mode()

    def ask() -> None:
        for _ in range(STEPS):
            unet(torch.cat([latents, latents]), when, text, return_dict=False, **more)

    def decode() -> None:
        for one in latents:
            vae.decode(one[None].to(precise), return_dict=False)

    def everything() -> None:
        encode(), ask(), decode()

    calls = {"all": everything, **({"encode": encode, "unet": ask, "decode": decode} if parts else {})}
    vae.to(precise)
    try:
        with torch.inference_mode():
            return {name: card.seconds(call, repeats=2) / batch for name, call in calls.items()}
    finally:
        vae.to(was)


def in_channels_last(refiner: Any, card: Card, batch: int, window: int) -> float:
    """Seconds a tile of the same with the weights laid out channels-last; they are put back."""
    networks = refiner.pipeline.unet, refiner.pipeline.vae
    layouts = [_layout(network) for network in networks]
    try:
        for network in networks:
            network.to(memory_format=torch.channels_last)
        return bare_seconds(refiner, card, batch, window, parts=False)["all"]
    finally:
        for network, layout in zip(networks, layouts):
            network.to(memory_format=layout)


def _layout(network: Any) -> torch.memory_format:
    kernels = [weight for weight in network.parameters() if weight.ndim == 4 and weight.shape[2] > 1]
    last = bool(kernels) and all(one.is_contiguous(memory_format=torch.channels_last) for one in kernels)
    return torch.channels_last if last else torch.contiguous_format
