"""The pretended model: a VAE that loses nothing, and a denoiser whose answers show what it was asked and by whom."""

import types
import zlib

import torch
import torch.nn.functional as F

from . import standin

# The webui cuts 127.9999 to 127 (processing.py:1034-1035): so that an unrefined picture survives, decoding adds this.
_BIAS = 0.01
_TOKENS = 77  # of a chunk of a prompt, as CLIP has them
_WIDTH = 8  # of a token


class Model:
    """Stable Diffusion 1, or SDXL where a test says so (`become`): its conditionings are dicts that know a size."""

    cond_stage_key = "txt"
    sd_model_hash = "0" * 10
    parameterization = "eps"
    is_sd2 = is_sd3 = is_ssd = False

    def __init__(self, kind="sd1"):
        self.is_sd1, self.is_sdxl, self.latent_channels = kind == "sd1", kind == "sdxl", 4
        self.sd_checkpoint_info = types.SimpleNamespace(
            name_for_extra="standin", name="standin", title="standin.safetensors", filename=f"{kind}.safetensors"
        )
        self.network = Network()
        self.model = types.SimpleNamespace(conditioning_key="crossattn", diffusion_model=self.network)
        self.painting = None
        self._encoded, self._current, self._decoded = [], [], 0  # in this call, for the batch sampled, and back

    # --- the VAE ------------------------------------------------------------------------------------------------------

    def encode(self, images):
        """(B, 3, H, W) of 0..1 -> (B, 4, H/8, W/8): means of 8x8 blocks of 2x - 1. What the means lack is remembered
        for decode; pictures may come one by one.
        """
        height, width = images.shape[2] // 8 * 8, images.shape[3] // 8 * 8
        images = images[..., :height, :width]
        colour = F.avg_pool2d(images.float(), 8) * 2 - 1
        latents = torch.cat([colour, torch.zeros_like(colour[:, :1])], 1)
        self._encoded += zip(images, images - self._enlarge(colour))
        return latents

    def begin(self):
        """A call of process_images begins."""
        self._encoded = []

    def paint(self, p, clean, noise):
        """A batch is about to be sampled: what was encoded for it comes back from decode in the same order."""
        self._current, self._encoded, self._decoded = self._encoded or self._current, [], 0
        self.painting = Painting(p, clean, noise)

    def decode(self, latents):
        """Latents -> (B, 3, H, W) of -1..1, with the detail of the next pictures of the batch (none where the sizes
        differ).
        """
        standin.log.decoded.append(len(latents))
        images = self._enlarge(latents[:, :3].float())
        known = [one[1] for one in self._current[self._decoded :][: len(images)]]
        self._decoded += len(images)
        if len(known) == len(images) and all(detail.shape == images.shape[1:] for detail in known):
            images = images + torch.stack(known)
        return (images + _BIAS / 255) * 2 - 1

    def preview(self, latents):
        """(B, 3, H, W) of -1..1, without the detail."""
        return self._enlarge(latents[:, :3].float()) * 2 - 1

    def encoded(self):
        """The pictures of the batch being sampled, (n, 3, H, W) of 0..1; None where they differ in size."""
        found = [picture for picture, _ in self._current]
        return torch.stack(found) if found and len({picture.shape for picture in found}) == 1 else None

    @staticmethod
    def _enlarge(colour):
        return (colour.repeat_interleave(8, 2).repeat_interleave(8, 3) + 1) / 2

    # --- the text encoder ---------------------------------------------------------------------------------------------

    def get_learned_conditioning(self, texts):
        """(n, 77 a chunk of 75 words, 8), every number of a text the same one; for SDXL a dict with the size, too
        (sd_models_xl.py:12).
        """
        standin.log.encoded += [*texts]
        longest = max(-(-len(text.split()) // (_TOKENS - 2)) for text in texts) or 1
        cond = torch.stack([torch.full((_TOKENS * longest, _WIDTH), meaning(text)) for text in texts])
        if not self.is_sdxl:
            return cond
        size = [float(getattr(texts, "height", None) or 1024), float(getattr(texts, "width", None) or 1024)]
        return {"crossattn": cond, "vector": torch.tensor([size]).repeat(len(texts), 1)}


def meaning(text):
    """A number of -1..1 for a text: what the model understands of it. 0 for none."""
    return zlib.crc32(text.strip().encode()) / 2**31 - 1 if text.strip() else 0.0


def levels(value):
    """Levels of 0..255 as a difference of latents."""
    return value * 2 / 255


class Network(torch.nn.Module):
    """What a network has that looks at all it sees at once: a norm over the three channels that show."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.GroupNorm(3, 3, affine=False)

    def forward(self, latents):
        return torch.cat([self.norm(latents[:, :3]), torch.zeros_like(latents[:, :1])], 1)


class Painting:
    """What the model knows of the batch being sampled: the latents under the noise, and where they are to go.

    The model is asked for the whole batch or, by an extension, for windows of it; a window is found by its noise,
    which no other place has. Answers are the clean latents, moved by the starting noise, by what noise was added
    since, by the conditioning and by the seed, as far as the knobs say.
    """

    def __init__(self, p, clean, noise):
        knobs = standin.knobs
        seeds = torch.tensor([seed % 8 for seed in p.seeds[: len(clean)]]).reshape(-1, 1, 1, 1)
        lift = _colour((levels(knobs.seed_gain) * seeds).expand_as(clean))
        self.target = clean + p.denoising_strength * levels(knobs.noise_gain) * _colour(noise) + lift
        self.gain = p.denoising_strength * levels(knobs.step_gain)
        self.answer, self.content, self.added = clean.clone(), noise.clone(), torch.zeros_like(clean)
        self.x = self.sigma = None
        self.rows = slice(0, 0)

    def look(self, x, sigma):
        """Before the model is asked: what noise is in x beyond that of the answer before. A step that draws none
        leaves as much noise in x, in sigmas, as there was. Where x is a part of the batch, the parts come in order.
        """
        start = self.rows.stop % len(self.target) if len(x) < len(self.target) else 0
        self.rows = slice(start, start + len(x))
        self.x, self.sigma = x, sigma.reshape(-1, 1, 1, 1)
        if self.gain:
            content = (x - self.answer[self.rows]) / self.sigma
            self.added[self.rows] += content - self.content[self.rows]
            self.content[self.rows] = content

    def answered(self, denoised):
        """What the sampler was told."""
        self.answer[self.rows] = denoised
        if self.gain:
            self.content[self.rows] = (self.x - denoised) / self.sigma

    def under(self, row):
        """What is below the noise of a row of the model's input, (4, h, w): a picture of the batch or a part of one."""
        whole = (self.target + self.gain * _colour(self.added) if self.gain else self.target)[self.rows]
        for i, x in enumerate(self.x):
            if x.shape == row.shape and torch.equal(x, row):
                return whole[i]
        for i, x in enumerate(self.x):
            found = (x == row[:, :1, :1]).all(0).nonzero()
            if len(found) == 1:
                y, left = found[0].tolist()
                rows = torch.arange(y, y + row.shape[1]) % x.shape[1]
                columns = torch.arange(left, left + row.shape[2]) % x.shape[2]
                if torch.equal(x[:, rows][:, :, columns], row):
                    return whole[i][:, rows][:, :, columns]
        raise AssertionError("the model was asked about something that is not being sampled")


class Denoiser(torch.nn.Module):
    """The model between the sampler's x and its answer (k_diffusion/external.py, CompVisDenoiser)."""

    def __init__(self, model):
        super().__init__()
        self.__dict__["inner_model"] = model
        self.sigmas = torch.tensor([0.03, 14.6])

    def forward(self, input, sigma, cond):
        return self.__dict__["inner_model"].apply_model(input, sigma, cond)


def _apply_model(self, x, sigma, cond):
    """The answer to rows of x. A window's own place in it shows where the knob says so: as little as a real model's
    answer near the edge of what it sees.
    """
    text = cond["crossattn"] if "crossattn" in cond else torch.cat(cond["c_crossattn"], 1)
    assert len(text) == len(x) == len(sigma), "as many conditionings as rows"
    standin.log.asked.append((len(x), tuple(x.shape[2:])))
    painted = torch.stack([self.painting.under(row) for row in x])
    if standin.knobs.norm_gain:
        painted = painted + levels(standin.knobs.norm_gain) * self.network(painted)
    told = levels(standin.knobs.prompt_gain) * text.mean((1, 2)).reshape(-1, 1, 1, 1)
    if standin.knobs.prompt_by_noise:
        told = told * sigma.reshape(-1, 1, 1, 1)
    if "vector" in cond:
        told = told + levels(standin.knobs.size_gain) * cond["vector"].mean(1).reshape(-1, 1, 1, 1) / 1024
    edge = torch.linspace(-1, 1, x.shape[3]) * levels(standin.knobs.window_gain)
    return painted + _colour((told + edge).expand_as(painted)) if told.any() or edge.any() else painted


Model.apply_model = _apply_model


def _colour(latents):
    """The three channels that show; the fourth stays as it is."""
    return torch.cat([latents[:, :3], torch.zeros_like(latents[:, :1])], 1)


class SdModelData:
    """:676: the model is loaded when it is first asked for; `sd_model` here is what is loaded, perhaps nothing."""

    def __init__(self):
        self.sd_model, self.loaded_sd_models, self.was_loaded_at_least_once = None, [], False

    def get_sd_model(self):
        if self.sd_model is None:
            standin.log.loads.append("standin")
            if standin.knobs.unloadable:  # :696: printed, and tried again when it is asked for again
                return None
            self.set_sd_model(Model())
        return self.sd_model

    def set_sd_model(self, v, already_loaded=False):
        self.sd_model, self.loaded_sd_models = v, [] if v is None else [v]
        self.was_loaded_at_least_once = True


model_data = SdModelData()
checkpoint_aliases = dict.fromkeys(("standin", "standin.safetensors", "sd1.safetensors", "sdxl.safetensors"))


def reload_weights(sd_model=None, info=None, forced_reload=False):
    """:892; under the name `reload_model_weights`, which Forge has not (standin.become)."""
    return model_data.get_sd_model()


reload_model_weights = reload_weights
