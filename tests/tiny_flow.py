"""Tiny flow models with random weights: diffusers' real classes, a few thousand parameters, no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    ChromaImg2ImgPipeline,
    ChromaTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    FluxImg2ImgPipeline,
    FluxTransformer2DModel,
    QwenImageImg2ImgPipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Img2ImgPipeline,
    ZImageImg2ImgPipeline,
    ZImageTransformer2DModel,
)
from tiny_models import _text_config, tokenizer
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

WIDTH = 32
"""Of text embeddings."""


def letters() -> PreTrainedTokenizerFast:
    """Every letter is a token; what is no ASCII is one, too."""
    words = ["<pad>", "<eos>", "<unk>", *map(chr, range(32, 127)), "\n"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", model_max_length=2048
    )
    fast.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}:"
    return fast


def _autoencoder(**changes: Any) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=[8, 8, 8, 8], norm_num_groups=2, latent_channels=16, sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4, layers_per_block=1,
        scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False, **changes,
    )  # fmt: skip


def _t5(words: int, width: int = WIDTH) -> T5EncoderModel:
    told = T5Config(vocab_size=words, d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return T5EncoderModel(told).eval()  # else it drops some of its values at random


def _dynamic() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)


def flux(folder: Path) -> FluxImg2ImgPipeline:
    torch.manual_seed(0)
    clip, t5 = tokenizer(folder / "words"), letters()
    return FluxImg2ImgPipeline(
        scheduler=_dynamic(), vae=_autoencoder(), text_encoder=CLIPTextModel(_text_config(len(clip))), tokenizer=clip,
        text_encoder_2=_t5(len(t5)), tokenizer_2=t5,
        transformer=FluxTransformer2DModel(
            num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=WIDTH,
            pooled_projection_dim=32, guidance_embeds=True, axes_dims_rope=(4, 6, 6),
        ),
    )  # fmt: skip


def chroma(folder: Path) -> ChromaImg2ImgPipeline:
    torch.manual_seed(0)
    t5 = letters()
    return ChromaImg2ImgPipeline(
        scheduler=_dynamic(), vae=_autoencoder(), text_encoder=_t5(len(t5)), tokenizer=t5,
        transformer=ChromaTransformer2DModel(
            num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=WIDTH,
            axes_dims_rope=(4, 6, 6), approximator_num_channels=8, approximator_hidden_dim=16, approximator_layers=1,
        ),
    )  # fmt: skip


def sd3(folder: Path) -> StableDiffusion3Img2ImgPipeline:
    torch.manual_seed(0)
    clip, t5 = tokenizer(folder / "words"), letters()
    encoders = [CLIPTextModelWithProjection(_text_config(len(clip), projection_dim=32)) for _ in range(2)]
    return StableDiffusion3Img2ImgPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), vae=_autoencoder(),
        text_encoder=encoders[0], tokenizer=clip, text_encoder_2=encoders[1], tokenizer_2=clip,
        text_encoder_3=_t5(len(t5), 64), tokenizer_3=t5,
        transformer=SD3Transformer2DModel(
            sample_size=32, num_layers=1, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=64,
            caption_projection_dim=16, pooled_projection_dim=64, pos_embed_max_size=96,
        ),
    )  # fmt: skip


def qwen_image(folder: Path) -> QwenImageImg2ImgPipeline:
    torch.manual_seed(0)
    words = letters()
    told = {
        "vocab_size": len(words), "hidden_size": WIDTH, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_window_layers": 1,
        "rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"},
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH,
        "fullatt_block_indexes": [0],
    }  # fmt: skip
    return QwenImageImg2ImgPipeline(
        scheduler=_dynamic(),
        vae=AutoencoderKLQwenImage(
            base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=told, vision_config=vision)),
        tokenizer=words,
        transformer=QwenImageTransformer2DModel(
            num_layers=1, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=WIDTH,
            axes_dims_rope=(4, 6, 6),
        ),
    )  # fmt: skip


def z_image(folder: Path) -> ZImageImg2ImgPipeline:
    torch.manual_seed(0)
    words = letters()
    return ZImageImg2ImgPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), vae=_autoencoder(),
        text_encoder=Qwen3Model(Qwen3Config(
            vocab_size=len(words), hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, head_dim=16,
        )),
        tokenizer=words,
        transformer=ZImageTransformer2DModel(
            dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH, axes_dims=[4, 6, 6],
            axes_lens=[1024, 64, 64],
        ),
    )  # fmt: skip


def flux_2_klein(folder: Path) -> Any:
    """Of our own class; its text encoder has as many layers as the real one's answers are taken from."""
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

    from lib_usdu.standalone.families.flux_2 import Flux2KleinImg2ImgPipeline

    torch.manual_seed(0)
    words = letters()
    vae = AutoencoderKLFlux2(
        block_out_channels=[8, 8, 8, 8], norm_num_groups=2, latent_channels=8, sample_size=64, layers_per_block=1,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
    )  # fmt: skip
    vae.bn.running_mean.normal_(std=0.1)
    vae.bn.running_var.uniform_(0.5, 2.0)
    return Flux2KleinImg2ImgPipeline(
        scheduler=_dynamic(), vae=vae, tokenizer=words,
        text_encoder=Qwen3ForCausalLM(Qwen3Config(
            vocab_size=len(words), hidden_size=8, intermediate_size=8, num_hidden_layers=28, num_attention_heads=2,
            num_key_value_heads=2, head_dim=4,
        )),
        transformer=Flux2Transformer2DModel(
            in_channels=32, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=24, timestep_guidance_channels=16, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
        ),
    )  # fmt: skip


KINDS = {"sd3": sd3, "flux": flux, "chroma": chroma, "qwen-image": qwen_image, "z-image": z_image}
ALL = {**KINDS, "flux-2-klein": flux_2_klein}
"""Those for which diffusers has no img2img of its own, too."""
