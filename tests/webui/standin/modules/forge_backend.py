"""What Forge and Forge Neo have in place of A1111's model: objects behind a model, and loading in the first call.

Their packages are `backend` and `modules_forge`; here in one module. `become` shows `modules_forge.main_entry`.
File:line: Forge dfdcbab.
"""

import copy
import math
import sys
import types

import torch

from . import sd_models, sd_samplers_cfg_denoiser, shared, standin
from .prompt_parser import reconstruct_cond_batch, reconstruct_multicond_batch
from .script_callbacks import AfterCFGCallbackParams, CFGDenoiserParams, cfg_after_cfg_callback, cfg_denoiser_callback


class UnetPatcher:
    """backend/patcher/base.py: a model and options of how it is asked; clones share the model."""

    def __init__(self, model, model_options=None):
        self.model, self.model_options = model, model_options or {"transformer_options": {}}
        self.controlnet_linked_list = self.extra_concat_condition = None

    def memory_required(self, input_shape):
        return self.model.memory_required(input_shape=input_shape)

    def clone(self):
        return UnetPatcher(self.model, copy.deepcopy(self.model_options))

    def set_model_unet_function_wrapper(self, unet_wrapper_function):
        self.model_options["model_function_wrapper"] = unet_wrapper_function


class KModel:
    """The model inside a patcher: tensors instead of lists (backend/modules/k_model.py)."""

    def __init__(self, model):
        self._model, self.diffusion_model = model, model.network
        self.predictor = types.SimpleNamespace(sigma_min=0.03, sigma_max=14.6)

    def memory_required(self, input_shape):
        """In latents of the model's input."""
        return input_shape[0] * math.prod(input_shape[2:])

    def apply_model(self, x, t, c_crossattn=None, y=None, transformer_options=None, **others):
        return self._model.apply_model(x, t, {"crossattn": c_crossattn, **({} if y is None else {"vector": y})})


def _load_models_gpu(models, memory_required=0, **others):
    """memory_management.py: models come to the card, with so much room beside them."""
    standin.log.wanted.append((*models, memory_required))


def _load_model_gpu(model):
    return memory_management.load_models_gpu([model])


memory_management = types.ModuleType("backend.memory_management")
memory_management.load_models_gpu, memory_management.load_model_gpu = _load_models_gpu, _load_model_gpu


def sampling_prepare(unet, x):
    """backend/sampling/sampling_function.py:365"""
    required = unet.memory_required([2 * x.shape[0], *x.shape[1:]])
    memory_management.load_models_gpu(models=["unet"], memory_required=required)


class ForgeObjects:
    """backend/diffusion_engine/base.py:7"""

    def __init__(self, unet, clip, vae, clipvision=None):
        self.unet, self.clip, self.vae, self.clipvision = unet, clip, vae, clipvision

    def shallow_copy(self):
        return ForgeObjects(self.unet, self.clip, self.vae, self.clipvision)


class FakeInitialModel:
    """sd_models.py: stands where nothing is loaded yet, which is so until the first call."""

    cond_stage_model = first_stage_model = None

    def get_prompt_lengths_on_ui(self, prompt):
        return len(prompt.split()), 75


class ForgeModel(sd_models.Model):
    """As sd_models.Model, without A1111's attributes and with Forge's."""

    def __init__(self, kind):
        super().__init__(kind)
        del self.model, self.latent_channels
        vae = types.SimpleNamespace(latent_channels=4, upscale_ratio=8)
        self.forge_objects = ForgeObjects(UnetPatcher(KModel(self)), types.SimpleNamespace(), vae)
        self.forge_objects_original = self.forge_objects.shallow_copy()
        self.forge_objects_after_applying_lora = self.forge_objects.shallow_copy()
        self.comments, self.extra_generation_params, self.ini_latent, self.is_wan = [], {}, None, False

    def encode(self, images):
        """patcher/vae.py:181; one picture a call (sd_samplers_common.py:96)."""
        for _ in images:
            memory_management.load_models_gpu(["vae"], memory_required=1)
        return super().encode(images)

    def decode(self, latents):
        """patcher/vae.py:126; what comes together is decoded together."""
        memory_management.load_models_gpu(["vae"], memory_required=len(latents))
        return super().decode(latents)

    def get_learned_conditioning(self, texts):
        """diffusion_engine/sd15.py:65"""
        memory_management.load_model_gpu("clip")
        return super().get_learned_conditioning(texts)

    def is_webui_legacy_model(self):
        return self.is_sd1 or self.is_sd2 or self.is_sdxl or self.is_sd3


class ForgeModelData:
    """sd_models.py: as it is after the page was made; nothing is loaded."""

    def __init__(self):
        self.sd_model, self.forge_loading_parameters, self.forge_hash = FakeInitialModel(), {}, ""

    def get_sd_model(self):
        return self.sd_model

    def set_sd_model(self, v):
        self.sd_model = v


def refresh_model_loading_parameters(**_):
    """modules_forge/main_entry.py:220: the checkpoint of the settings is the one to load; nothing is loaded here."""
    name = shared.opts.sd_model_checkpoint or standin.knobs.checkpoint
    sd_models.model_data.forge_loading_parameters = {
        "checkpoint_info": types.SimpleNamespace(filename=name, name=name), "additional_modules": [],
    }  # fmt: skip


def forge_model_reload():
    """sd_models.py:473: loads what the parameters say, unless that is what is loaded."""
    data = sd_models.model_data
    wanted = str(data.forge_loading_parameters)
    if data.forge_hash == wanted:
        return data.sd_model, False
    if not data.forge_loading_parameters:
        raise ValueError("You do not have any model!")
    standin.log.loads.append(data.forge_loading_parameters["checkpoint_info"].name)
    if standin.knobs.unloadable:
        data.set_sd_model(FakeInitialModel())
        data.forge_hash = ""
        raise ValueError("a file that is no checkpoint")
    kind = "sdxl" if "xl" in standin.log.loads[-1] else "sd1"
    data.set_sd_model(ForgeModel(kind))
    data.sd_model.sd_checkpoint_info.filename = standin.log.loads[-1]
    data.forge_hash = wanted
    return data.sd_model, True


def manage_model_and_prompt_cache(p):
    """processing.py:801; there under that name, which A1111 has not."""
    p.sd_model, just_reloaded = forge_model_reload()
    if just_reloaded:
        p.cached_c[:] = p.cached_uc[:] = [None, None]


class ForgeDenoiser(sd_samplers_cfg_denoiser.CFGDenoiser):
    """sd_samplers_cfg_denoiser.py:155 with backend/sampling/sampling_function.py: without a negative prompt where
    guidance is 1, and the model asked through the patcher."""

    @property
    def inner_model(self):
        if self.model_wrap is None:
            self.model_wrap = sd_models.Denoiser(shared.sd_model)
        return self.model_wrap

    def forward(self, x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond):
        from . import sd_samplers_common

        if shared.state.interrupted or shared.state.skipped:
            raise sd_samplers_common.InterruptedException
        parts, tensor = reconstruct_multicond_batch(cond, self.step)
        uncond = None if uncond is None else reconstruct_cond_batch(uncond, self.step)
        if self.mask is not None:
            noise = torch.randn_like(self.init_latent)  # the global generator's, not p.rng's
            x = x * self.nmask + (self.init_latent + noise * sigma.reshape(-1, 1, 1, 1)) * self.mask
        shared.sd_model.painting.look(x, sigma)
        params = CFGDenoiserParams(
            x, image_cond, sigma, shared.state.sampling_step, shared.state.sampling_steps, tensor, uncond, self
        )
        cfg_denoiser_callback(params)
        if self._leaves_uncond_out(sigma, s_min_uncond):
            cond_scale = 1.0
        denoised = _sampling_function(params, cond_scale, parts)
        if self.mask is not None:
            denoised = self._blend(denoised, sigma)
        shared.sd_model.painting.answered(denoised)
        self.sampler.last_latent = denoised
        sd_samplers_common.store_latent(denoised)
        after = AfterCFGCallbackParams(denoised, shared.state.sampling_step, shared.state.sampling_steps)
        cfg_after_cfg_callback(after)
        self.step += 1
        return after.x


class NeoDenoiser(ForgeDenoiser):
    def forward(self, x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond, **kwargs):
        return super().forward(x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond)


def _rows(cond, which):
    return {key: value[which] for key, value in cond.items()} if isinstance(cond, dict) else cond[which]


def _sampling_function(params, cond_scale, parts):
    """backend/sampling/sampling_function.py:113, 243. The k-th parts of all prompts are one chunk; the last part of
    the prompts comes first after the negative prompt. Parts have one weight for the whole batch, that of the last.
    """
    unet = shared.sd_model.forge_objects.unet
    chunks = []
    for of_all in zip(*parts):
        chunks.append((0, _rows(params.text_cond, [row for row, _ in of_all]), of_all[-1][1]))
    strength = sum(weight for _, _, weight in chunks)
    if params.text_uncond is not None and cond_scale != 1.0:
        chunks.append((1, params.text_uncond, 1.0))
    chunks.reverse()
    x, n = params.x, len(chunks)
    texts = [text["crossattn"] if isinstance(text, dict) else text for _, text, _ in chunks]
    longest = max(text.shape[1] for text in texts)
    c = {"c_crossattn": torch.cat([text.repeat(1, longest // text.shape[1], 1) for text in texts])}
    if isinstance(chunks[0][1], dict):
        c["y"] = torch.cat([text["vector"] for _, text, _ in chunks])
    marks = [mark for mark, _, _ in chunks]
    c["transformer_options"] = {**unet.model_options["transformer_options"], "cond_or_uncond": marks}
    inputs, sigmas = torch.cat([x] * n), torch.cat([params.sigma] * n)
    wrapper = unet.model_options.get("model_function_wrapper")
    if wrapper is None:
        answers = unet.model.apply_model(inputs, sigmas, **c)
    else:
        given = {"input": inputs, "timestep": sigmas, "c": c, "cond_or_uncond": marks}
        answers = wrapper(unet.model.apply_model, given)
    conditioned = unconditioned = torch.zeros_like(x)
    for (mark, _, weight), answer in zip(chunks, answers.chunk(n)):
        if mark == 0:
            conditioned = conditioned + answer * (weight / strength)
        else:
            unconditioned = answer
    denoised = unconditioned + (conditioned - unconditioned) * cond_scale * strength
    if cond_scale == 1.0 and strength == 1.0:
        denoised = conditioned
    for after in unet.model_options.get("sampler_post_cfg_function", []):
        denoised = after({
            "denoised": denoised, "cond_denoised": conditioned, "uncond_denoised": unconditioned,
            "sigma": params.sigma, "cond_scale": cond_scale, "input": x,
        })  # fmt: skip
    return denoised


def set_config(req, is_api=False, run_callbacks=True, save_config=True):
    """sysinfo.py:209: a checkpoint that changes is chosen, and loaded by the next call."""
    for name, value in req.items():
        if value == shared.opts.data.get(name):
            continue
        if name == "sd_model_checkpoint" and value is not None and value not in sd_models.checkpoint_aliases:
            raise RuntimeError(f"Model {value!r} not found...")
        shared.opts.set(name, value, is_api=is_api, run_callbacks=run_callbacks)
        if name == "sd_model_checkpoint":
            refresh_model_loading_parameters()


def show(there):
    """The modules that only this family has, under their names."""
    package = sys.modules[__package__]
    names = ("backend", "modules_forge", "modules_forge.main_entry", f"{__package__}.sysinfo")
    for name in (*names, "backend.memory_management"):
        sys.modules.pop(name, None)
    vars(package).pop("sysinfo", None)
    if not there:
        return
    backend, forge, main_entry, package.sysinfo = map(types.ModuleType, names)
    main_entry.refresh_model_loading_parameters = refresh_model_loading_parameters
    package.sysinfo.set_config = set_config
    forge.main_entry, backend.memory_management = main_entry, memory_management
    sys.modules.update(zip(names, (backend, forge, main_entry, package.sysinfo)))
    sys.modules["backend.memory_management"] = memory_management
