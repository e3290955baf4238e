"""Training pictures for the embedded diffusion model: sharp ones, and the canvases that the bundled upscalers make of
small, damaged copies of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from lib_usdu.enlarge.bundled import BUNDLED, CLEAN, JPEG, NOISE

from .upscaler import network

HELD_BACK = {
    "lomiri_life",
    "lomiri_friends",
    "skimage_astronaut",
    "skimage_chelsea",
    "sklearn_china",
    "skimage_brick",
    "skimage_grass",
    "skimage_gravel",
}
SIDE, MARGIN = 192, 24
"""Of a part, px, and how much more is upscaled around it: a multiple of every factor."""
FACTORS = (2, 2, 2, 3, 4, 4)
DRAWN = 0.1
"""Share of drawings and pages of text; half as many parts are their own canvas."""


class Upscalers:
    """The bundled networks, picture by picture."""

    def __init__(self):
        self._networks = {name: network(BUNDLED[name]).requires_grad_(False) for name in (CLEAN, JPEG, NOISE)}

    @torch.inference_mode()
    def enlarged(self, small: Image.Image, name: str, size: tuple[int, int]) -> Image.Image:
        """By 4, and made smaller to this (width, height)."""
        x = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 255
        with torch.autocast("cpu", torch.bfloat16):
            made = self._networks[name](x.to(memory_format=torch.channels_last))
        levels = (made[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
        return Image.fromarray(levels.numpy()).resize(size, Image.Resampling.LANCZOS)


def page(seed: int, size: int) -> Image.Image:
    """Lines of dark letters on white or pale paper, drawn at three times the size."""
    rng, big = np.random.default_rng(seed), 3 * size
    paper = (255, 255, 255) if rng.random() < 0.6 else tuple(int(c) for c in rng.integers(200, 256, 3))
    canvas = Image.new("RGB", (big, big), paper)
    pen, height = ImageDraw.Draw(canvas), float(rng.integers(24, 90))
    font, colour = ImageFont.load_default(height), tuple(int(c) for c in rng.integers(0, 90, 3))
    top = float(rng.integers(0, 60))
    while top < big:
        letters = "".join(chr(c) if c > 64 else " " for c in rng.integers(58, 123, 80))
        if rng.random() < 0.8:
            pen.text((float(rng.integers(0, 60)), top), letters, fill=colour, font=font)
        top += 1.4 * height
    return canvas.resize((size, size), Image.Resampling.BOX)


def drawing(seed: int, size: int) -> Image.Image:
    """Overlapping polygons, discs, fine lines and letters on soft gradients, drawn at three times the size."""
    rng, big = np.random.default_rng(seed), 3 * size
    canvas = Image.fromarray(rng.integers(0, 256, (3, 3, 3), dtype=np.uint8))
    canvas = canvas.resize((big, big), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    for _ in range(60):
        x, y, reach = *rng.uniform(0, big, 2), 12 + big / 3 * rng.random() ** 3
        colour, kind = tuple(int(c) for c in rng.integers(0, 256) * 0.7 + rng.integers(0, 77, 3)), rng.random()
        spots = [(x + dx, y + dy) for dx, dy in rng.uniform(-reach, reach, (int(rng.integers(3, 6)), 2))]
        if kind < 0.35:
            pen.polygon(spots, fill=colour)
        elif kind < 0.5:
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
        elif kind < 0.75:
            pen.line(spots, fill=colour, width=int(rng.integers(2, 14)))
        else:
            letters = "".join(chr(rng.integers(65, 123)) for _ in range(6))
            pen.text((x, y), letters, fill=colour, font=ImageFont.load_default(float(20 + reach / 2)))
    return canvas.resize((size, size), Image.Resampling.BOX)


def canvas_of(sharp: Image.Image, rng: np.random.Generator, upscalers: Upscalers) -> Image.Image:
    """A small copy, clean, saved as a JPEG or with noise, enlarged again by the network that suits it."""
    factor, draw = int(rng.choice(FACTORS)), rng.random()
    soft = sharp.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2))) if rng.random() < 0.2 else sharp
    kernel = rng.choice([Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX], p=[0.6, 0.25, 0.15])
    small = soft.resize((sharp.width // factor, sharp.height // factor), Image.Resampling(int(kernel)))
    name, quality = CLEAN, 0
    if draw < 0.3:
        name, quality = JPEG, int(rng.integers(40, 90))
    elif draw < 0.4:
        quality = int(rng.integers(90, 97))
    elif draw < 0.55:
        name, quality = NOISE, int(rng.integers(80, 96)) if rng.random() < 0.4 else 0
        pixels = np.asarray(small, np.float32)
        pixels = pixels + rng.normal(0, rng.uniform(4, 22), pixels.shape)
        small = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
    if quality:
        file = io.BytesIO()
        small.save(file, "JPEG", quality=quality)
        small = Image.open(file).convert("RGB")
    return upscalers.enlarged(small, name, sharp.size)


class Photos:
    """Random parts of the pictures of a folder, those of HELD_BACK left out; the busier of two places."""

    def __init__(self, folder: Path):
        paths = sorted([*folder.glob("*.jpg"), *folder.glob("*.png")])
        self.pictures = [Image.open(path).convert("RGB") for path in paths if path.stem not in HELD_BACK]
        area = np.array([min(picture.width * picture.height, 1e6) for picture in self.pictures])
        self.share = area**0.5 / (area**0.5).sum()

    def part(self, rng: np.random.Generator, side: int) -> Image.Image:
        while True:
            picture = self.pictures[rng.choice(len(self.pictures), p=self.share)]
            shrink = rng.choice([1.0, 1.4, 2.0], p=[0.5, 0.25, 0.25])  # what is shrunk is sharper and has less noise
            wide = int(side * shrink)
            if min(picture.size) >= wide:
                break
        places = [[int(rng.integers(0, length - wide + 1)) for length in picture.size] for _ in range(2)]
        parts = [picture.crop((x, y, x + wide, y + wide)) for x, y in places]
        busy = [np.asarray(part.convert("L"), np.float32)[::2, ::2].std() for part in parts]
        return parts[int(np.argmax(busy))].resize((side, side), Image.Resampling.LANCZOS)


def prepare(folder: Path, cache: Path, count: int) -> np.ndarray:
    """uint8 (count, 2, SIDE, SIDE, 3): sharp parts and their canvases; made once, then read from `cache`."""
    saved = cache / f"pairs-{count}.npy"
    if saved.exists():
        return np.load(saved, mmap_mode="r")
    cache.mkdir(parents=True, exist_ok=True)
    photos, upscalers, whole = Photos(folder), Upscalers(), SIDE + 2 * MARGIN
    made = np.empty((count, 2, SIDE, SIDE, 3), np.uint8)
    for index in range(count):
        rng = np.random.default_rng(index)
        draw = rng.random()
        drawn = page if draw < DRAWN / 2 else drawing if draw < DRAWN else None
        sharp = drawn(index, whole) if drawn else photos.part(rng, whole)
        canvas = sharp if draw > 1 - DRAWN / 2 else canvas_of(sharp, rng, upscalers)
        inner = slice(MARGIN, MARGIN + SIDE)
        made[index] = [np.asarray(one)[inner, inner] for one in (sharp, canvas)]
        if (index + 1) % 200 == 0:
            print(f"{index + 1} parts", flush=True)
    np.save(saved, made)
    return made


class Crops:
    """Endless random batches (sharp, canvas), float (n, 3, side, side) in [-1, 1]: parts, turned, in other light."""

    def __init__(self, pairs: np.ndarray, seed: int):
        """Parts where more is missing come a little more often."""
        self.pairs, self.rng = pairs, np.random.default_rng(seed)
        missing = np.array([np.square(sharp[::2, ::2, 1] - canvas[::2, ::2, 1].astype(float)).mean()
                            for sharp, canvas in pairs])  # fmt: skip
        self.share = np.sqrt(np.clip(np.sqrt(missing), 1.5, 10))
        self.share /= self.share.sum()

    def one(self, side: int) -> np.ndarray:
        pair = self.pairs[self.rng.choice(len(self.pairs), p=self.share)]
        top, left = (8 * int(self.rng.integers(0, (SIDE - side) // 8 + 1)) for _ in range(2))
        pair = pair[:, top : top + side, left : left + side].astype(np.float32) / 127.5 - 1
        pair = np.rot90(pair, int(self.rng.integers(4)), (1, 2))
        if self.rng.random() < 0.5:
            pair = pair[:, :, ::-1]
        if self.rng.random() < 0.2:
            pair = pair[..., self.rng.permutation(3)]
        contrast = self.rng.uniform(0.6, 1.2)
        return (pair * contrast + self.rng.normal(0, 0.1)).transpose(0, 3, 1, 2)

    def batch(self, count: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        both = torch.from_numpy(np.stack([self.one(side) for _ in range(count)]).astype(np.float32))
        return both[:, 0], both[:, 1]
