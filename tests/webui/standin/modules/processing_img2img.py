"""The img2img p: what it makes of its init images and mask, and its call of the sampler (processing.py:1556-1792)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

from . import devices, images, masking, scripts, sd_samplers, shared
from .processing_base import StableDiffusionProcessing, unset
from .shared import opts


def create_binary_mask(image, round=True):
    if image.mode == "RGBA" and image.getextrema()[-1] != (255, 255):
        image = image.split()[-1]
        return image.point(lambda x: 255 if x > 128 else 0) if round else image
    return image.convert("L")


@dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    init_images: list = None
    resize_mode: int = 0
    denoising_strength: float = 0.75
    image_cfg_scale: float = None
    mask: Any = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_blur: int = None
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float = None
    latent_mask: Any = None
    force_task_id: str = None
    image_mask: Any = unset()
    nmask: Any = unset()
    image_conditioning: Any = unset()
    init_img_hash: str = unset()
    mask_for_overlay: Any = unset()
    init_latent: Any = unset()

    def __post_init__(self):
        """:1583"""
        super().__post_init__()
        self.image_mask, self.mask = self.mask, None
        if self.initial_noise_multiplier is None:
            self.initial_noise_multiplier = opts.initial_noise_multiplier

    @property
    def mask_blur(self):  # noqa: F811  :1590
        return self.mask_blur_x if self.mask_blur_x == self.mask_blur_y else None

    @mask_blur.setter
    def mask_blur(self, value):
        if isinstance(value, int):
            self.mask_blur_x = self.mask_blur_y = value

    def init(self, all_prompts, all_seeds, all_subseeds):
        """:1602-1757"""
        self.extra_generation_params["Denoising strength"] = self.denoising_strength
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        image_mask, region = self._init_mask() if self.image_mask is not None else (None, None)
        correct = opts.img2img_color_correction and self.color_corrections is None
        if correct:
            self.color_corrections = []
        pictures = [self._init_picture(x, image_mask is not None, region, correct) for x in self.init_images]

        # :1710-1722: one is repeated; fewer than batch_size shrink the batch; more are an error
        if len(pictures) == 1:
            pictures = pictures * self.batch_size
            self.overlay_images = self.overlay_images and self.overlay_images * self.batch_size
            if self.color_corrections is not None and len(self.color_corrections) == 1:
                self.color_corrections = self.color_corrections * self.batch_size
        elif len(pictures) <= self.batch_size:
            self.batch_size = len(pictures)
        else:
            raise RuntimeError(f"bad number of images passed: {len(pictures)}; expecting {self.batch_size} or less")

        from . import processing  # its names are the ones that are patched

        pixels = torch.from_numpy(np.stack(pictures)).to(shared.device, dtype=devices.dtype_vae)
        self.init_latent = processing.images_tensor_to_samples(pixels, None, self.sd_model)
        devices.torch_gc()
        if image_mask is not None:
            small = (self.latent_mask or image_mask).convert("L").resize(tuple(self.init_latent.shape[:1:-1]))
            nmask = torch.from_numpy(np.asarray(small, dtype=np.float32) / 255)
            nmask = (nmask.round() if self.mask_round else nmask).expand(self.init_latent.shape[1:])
            self.mask, self.nmask = 1 - nmask, nmask
        self.image_conditioning = self.init_latent.new_zeros(len(self.init_latent), 5, 1, 1)

    def _init_picture(self, picture, masked, region, correct):
        """:1671-1708: one init image as an array (3, H, W) of 0..1; its overlay and its colours are noted."""
        if opts.save_init_img:
            self.init_img_hash = hashlib.md5(picture.tobytes()).hexdigest()
            images.save_image(
                picture, opts.outdir_init_images, None, forced_filename=self.init_img_hash, save_to_dirs=False
            )
        image = images.flatten(picture, opts.img2img_background_color)
        if region is None and self.resize_mode != 3:
            image = images.resize_image(self.resize_mode, image, self.width, self.height)
        if masked:
            if self.mask_for_overlay.size != image.size:
                self.mask_for_overlay = images.resize_image(self.resize_mode, self.mask_for_overlay, *image.size)
            kept = Image.new("RGBa", image.size)
            kept.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(self.mask_for_overlay.convert("L")))
            self.overlay_images.append(kept.convert("RGBA"))
        if region is not None:
            image = images.resize_image(2, image.crop(region), self.width, self.height)
        if correct:
            self.color_corrections.append(np.asarray(image.copy()))
        return np.moveaxis(np.asarray(image, dtype=np.float32) / 255, 2, 0)

    def _init_mask(self):
        """:1616-1667: blurred, then cut to its region; without a mask nothing here is reset, see docs/webui.md B.3."""
        mask = create_binary_mask(self.image_mask, round=self.mask_round)
        if self.inpainting_mask_invert:
            mask = ImageOps.invert(mask)
            self.extra_generation_params["Mask mode"] = "Inpaint not masked"
        if self.mask_blur_x > 0 or self.mask_blur_y > 0:
            mask = mask.filter(ImageFilter.GaussianBlur(max(self.mask_blur_x, self.mask_blur_y)))
            self.extra_generation_params["Mask blur"] = self.mask_blur
        self.overlay_images = []
        if not self.inpaint_full_res:
            mask = images.resize_image(self.resize_mode, mask, self.width, self.height)
            self.mask_for_overlay = mask.point(lambda x: min(2 * x, 255))
            return mask, None
        self.mask_for_overlay = mask
        region = masking.get_crop_region_v2(mask, self.inpaint_full_res_padding)
        if not region:
            self.mask_for_overlay, self.inpaint_full_res = None, False
            return None, None
        region = x1, y1, x2, y2 = masking.expand_crop_region(region, self.width, self.height, *mask.size)
        self.paste_to = (x1, y1, x2 - x1, y2 - y1)
        self.extra_generation_params["Inpaint area"] = "Only masked"
        self.extra_generation_params["Masked area padding"] = self.inpaint_full_res_padding
        mask = mask.crop(region)
        return images.resize_image(2, mask, self.width, self.height), region

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        """:1759-1789"""
        x = self.rng.next()
        if self.initial_noise_multiplier != 1.0:
            self.extra_generation_params["Noise multiplier"] = self.initial_noise_multiplier
            x *= self.initial_noise_multiplier
        if self.scripts is not None:
            self.scripts.process_before_every_sampling(
                p=self, x=self.init_latent, noise=x, c=conditioning, uc=unconditional_conditioning
            )
        if getattr(self, "modified_noise", None) is not None:  # Forge processing.py:1861
            x, self.modified_noise = self.modified_noise, None
        samples = self.sampler.sample_img2img(
            self,
            self.init_latent,
            x,
            conditioning,
            unconditional_conditioning,
            image_conditioning=self.image_conditioning,
        )
        if self.mask is not None:
            blended = samples * self.nmask + self.init_latent * self.mask
            if self.scripts is not None:
                args = scripts.MaskBlendArgs(samples, self.nmask, self.init_latent, self.mask, blended)
                self.scripts.on_mask_blend(self, args)
                blended = args.blended_latent
            samples = blended
        devices.torch_gc()
        return samples
