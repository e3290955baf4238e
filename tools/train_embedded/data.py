"""Training pictures for the embedded model: sharp ones, what upscaling makes of them, and random crops of both."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from lib_usdu.embedded import DEFAULT_UPSCALER, span
from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

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
SHRINKS, DRAWINGS = (1, 2), 2
# factor, filter of the shrink, JPEG quality or None, how it is upscaled again
RECIPES = (
    (2, "BICUBIC", None, "span"),
    (2, "LANCZOS", 92, "span"),
    (2, "BOX", None, "lanczos"),
    (3, "LANCZOS", None, "span"),
    (4, "BICUBIC", None, "span"),
    (4, "BOX", 92, "span"),
)


def upscaler():
    declare_missing_operators()
    from spandrel import ModelLoader

    model = ModelLoader(device="cpu").load_from_state_dict(span.read(DEFAULT_UPSCALER)).model.float().eval()

    @torch.inference_mode()
    def times_four(image: Image.Image, tile: int = 256, margin: int = 16) -> Image.Image:
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        height, width = x.shape[2:]
        out = torch.empty(4 * height, 4 * width, 3, dtype=torch.uint8)
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                y0, x0 = max(top - margin, 0), max(left - margin, 0)
                part = model(x[:, :, y0 : top + tile + margin, x0 : left + tile + margin])[0]
                part = part[:, 4 * (top - y0) :, 4 * (left - x0) :][:, : 4 * tile, : 4 * tile]
                out[4 * top : 4 * top + part.shape[1], 4 * left : 4 * left + part.shape[2]] = (
                    (part.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
                )
        return Image.fromarray(out.numpy())

    return times_four


def degrade(clean: Image.Image, recipe, times_four) -> Image.Image:
    factor, kind, quality, how = recipe
    small = clean.resize((clean.width // factor, clean.height // factor), Image.Resampling[kind])
    if quality:
        stream = io.BytesIO()
        small.save(stream, "JPEG", quality=quality)
        small = Image.open(stream).convert("RGB")
    return (times_four(small) if how == "span" else small).resize(clean.size, Image.Resampling.LANCZOS)


def drawing(seed: int, size: int = 840) -> Image.Image:
    """Overlapping polygons, discs, fine lines and letters on soft gradients, drawn at three times the size."""
    rng, big = np.random.default_rng(seed), 3 * size
    canvas = Image.fromarray(rng.integers(0, 256, (3, 3, 3), dtype=np.uint8))
    canvas = canvas.resize((big, big), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    for _ in range(700):
        x, y, reach = *rng.uniform(0, big, 2), 12 + big / 9 * rng.random() ** 3
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


def sources(photos: Path):
    """(name, function that gives the clean picture)"""
    for path in sorted(p for p in photos.glob("*.jpg") if p.stem not in HELD_BACK):
        for shrink in SHRINKS:

            def clean(path=path, shrink=shrink) -> Image.Image:
                photo = Image.open(path).convert("RGB")  # sides that every factor divides
                photo = photo.crop((0, 0, *(side // (12 * shrink) * 12 * shrink for side in photo.size)))
                return photo.reduce(shrink)

            yield f"{path.stem}-{shrink}", clean
    for seed in range(DRAWINGS):
        yield f"drawing-{seed}", lambda seed=seed: drawing(seed)


def prepare(photos: Path, cache: Path) -> list[np.ndarray]:
    """One array (1 + recipes, height, width, 3) a source: the clean picture, then its degraded versions."""
    cache.mkdir(parents=True, exist_ok=True)
    times_four, stacks = None, []
    for name, clean in sources(photos):
        saved = cache / f"{name}.npy"
        if not saved.exists():
            times_four, picture = times_four or upscaler(), clean()
            versions = [picture, *(degrade(picture, recipe, times_four) for recipe in RECIPES)]
            np.save(saved, np.stack([np.array(version) for version in versions]))
            print(name, picture.size, flush=True)
        stacks.append(np.load(saved))
    return stacks


class Crops:
    """Endless random batches (clean, degraded) in [-1, 1] and loss weights; busier places are a little more likely.
    A source and recipe with a large error (factor 4, rocks) weighs less, or it would drown what can be restored."""

    def __init__(self, stacks: list[np.ndarray], seed: int):
        self.stacks, self.rng = stacks, np.random.default_rng(seed)
        area = np.array([stack.shape[1] * stack.shape[2] for stack in stacks], float)
        self.share = area**0.5 / (area**0.5).sum()
        error = np.array(
            [
                [((one[::3, ::3] - stack[0, ::3, ::3].astype(np.float32)) ** 2).mean() for one in stack[1:]]
                for stack in stacks
            ]
        )
        self.weight = (error.mean() / error) ** 0.25

    def one(self, size: int) -> tuple[np.ndarray, float]:
        source = self.rng.choice(len(self.stacks), p=self.share)
        stack = self.stacks[source]
        best, most = None, -1.0
        for _ in range(2):  # the busier of two places
            top, left = (int(self.rng.integers(0, stack.shape[axis] - size + 1)) for axis in (1, 2))
            crop = stack[0, top : top + size, left : left + size]
            busy = float(crop[::2, ::2, 1].std())
            if busy > most:
                best, most = (top, left), busy
        top, left = best
        recipe = 1 + int(self.rng.integers(len(RECIPES)))
        pair = stack[[0, recipe], top : top + size, left : left + size].astype(np.float32) / 127.5 - 1
        pair = np.rot90(pair, int(self.rng.integers(4)), (1, 2))
        if self.rng.random() < 0.5:
            pair = pair[:, :, ::-1]
        if self.rng.random() < 0.2:
            pair = pair[..., self.rng.permutation(3)]
        contrast, tint = self.rng.uniform(0.7, 1.15), self.rng.normal(0, 0.04, 3) + self.rng.normal(0, 0.15)
        return (pair * contrast + tint).transpose(0, 3, 1, 2), self.weight[source, recipe - 1] / contrast

    def batch(self, count: int, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pairs, weights = zip(*(self.one(size) for _ in range(count)))
        both = torch.from_numpy(np.stack(pairs).astype(np.float32))
        return both[:, 0], both[:, 1], torch.tensor(weights, dtype=torch.float32)[:, None, None, None]
