"""Classifier-free guidance between a sampler and the model (sd_samplers_cfg_denoiser.py)."""

import torch

from . import prompt_parser, scripts, sd_samplers_common, shared
from .script_callbacks import (
    AfterCFGCallbackParams,
    CFGDenoisedParams,
    CFGDenoiserParams,
    cfg_after_cfg_callback,
    cfg_denoised_callback,
    cfg_denoiser_callback,
)


def _joined(conds):
    if isinstance(conds[0], dict):
        return {key: torch.cat([cond[key] for cond in conds]) for key in conds[0]}
    return torch.cat(conds)


def _rows(cond, part):
    return {key: value[part] for key, value in cond.items()} if isinstance(cond, dict) else cond[part]


class CFGDenoiser(torch.nn.Module):
    """One for every sampler. Not reproduced: edit models, padding of conditionings, the refiner."""

    def __init__(self, sampler):
        super().__init__()
        self.sampler, self.model_wrap, self.p = sampler, None, None
        self.mask = self.nmask = self.init_latent = self.steps = self.total_steps = self.image_cfg_scale = None
        self.step, self.cond_scale_miltiplier = 0, 1.0
        self.padded_cond_uncond = self.padded_cond_uncond_v0 = self.need_last_noise_uncond = False
        self.last_noise_uncond, self.mask_before_denoising = None, False

    @property
    def inner_model(self):
        raise NotImplementedError

    def combine_denoised(self, x_out, conds_list, uncond, cond_scale):
        """:72: away from the answer to the negative prompt, by each part's weight."""
        unconditioned = x_out[-uncond.shape[0] :]
        denoised = unconditioned.clone()
        for i, parts in enumerate(conds_list):
            for row, weight in parts:
                denoised[i] += (x_out[row] - unconditioned[i]) * (weight * cond_scale)
        return denoised

    def forward(self, x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond):
        """:156: a row of the model's input for each part of each prompt, then one for each negative prompt."""
        if shared.state.interrupted or shared.state.skipped:
            raise sd_samplers_common.InterruptedException
        shared.sd_model.painting.look(x, sigma)
        parts, tensor = prompt_parser.reconstruct_multicond_batch(cond, self.step)
        uncond = prompt_parser.reconstruct_cond_batch(uncond, self.step)
        if self.mask_before_denoising and self.mask is not None:
            x = self._blend(x, sigma)
        picture = [i for i, found in enumerate(parts) for _ in found] + list(range(len(parts)))
        params = CFGDenoiserParams(
            x[picture], image_cond[picture], sigma[picture], shared.state.sampling_step, shared.state.sampling_steps,
            tensor, uncond, self,
        )  # fmt: skip
        cfg_denoiser_callback(params)
        tensor, uncond = params.text_cond, params.text_uncond
        alone = self._leaves_uncond_out(sigma, s_min_uncond)
        out = self._ask(params, tensor, uncond, len(parts), alone)
        first = [found[0][0] for found in parts]
        if alone:
            out = torch.cat([out, out[first]])
        cfg_denoised_callback(
            CFGDenoisedParams(out, shared.state.sampling_step, shared.state.sampling_steps, self.inner_model)
        )
        denoised = self.combine_denoised(
            out, parts, uncond, 1.0 if alone else cond_scale * self.cond_scale_miltiplier
        )
        if not self.mask_before_denoising and self.mask is not None:
            denoised = self._blend(denoised, sigma)
        shared.sd_model.painting.answered(denoised)
        self.sampler.last_latent = out[first]
        sd_samplers_common.store_latent(denoised)
        after = AfterCFGCallbackParams(denoised, shared.state.sampling_step, shared.state.sampling_steps)
        cfg_after_cfg_callback(after)
        self.step += 1
        return after.x

    def _leaves_uncond_out(self, sigma, s_min_uncond):
        """:223: below a noise level the negative prompt is left out, in every second step or in all."""
        opts, extra = shared.opts, self.p.extra_generation_params
        if opts.skip_early_cond and self.step / self.total_steps <= opts.skip_early_cond:
            extra["Skip Early CFG"] = opts.skip_early_cond
            return True
        if not (self.step % 2 or opts.s_min_uncond_all) or not s_min_uncond > 0 or not sigma[0] < s_min_uncond:
            return False
        extra["NGMS"] = s_min_uncond
        if opts.s_min_uncond_all:
            extra["NGMS all steps"] = opts.s_min_uncond_all
        return True

    def _ask(self, params, tensor, uncond, batch, alone):
        """:240-262: in one call, or in several where the two prompts differ in length or the setting says so."""
        rows = len(params.x) - (batch if alone else 0)

        def ask(part, text):
            condition = text if isinstance(text, dict) else {"c_crossattn": [text]}
            # Without the negative prompt, image conditionings of all rows go along (:247); the last have no row.
            image = params.image_cond if alone and part == slice(0, rows) else params.image_cond[part]
            return self.inner_model(params.x[part], params.sigma[part], cond={**condition, "c_concat": [image]})

        if not alone and tensor.shape[1] != uncond.shape[1]:
            count, size = tensor.shape[0], batch * 2 if shared.opts.batch_cond_uncond else batch
            calls = [(slice(a, min(a + size, count)), tensor, 0) for a in range(0, count, size)]
            calls.append((slice(count, rows), uncond, count))
        else:
            text = tensor if alone else _joined([tensor, uncond])
            size = rows if shared.opts.batch_cond_uncond else batch
            calls = [(slice(a, min(a + size, rows)), text, 0) for a in range(0, rows, size)]
        return torch.cat(
            [ask(part, _rows(text, slice(part.start - skip, part.stop - skip))) for part, text, skip in calls]
        )

    def _blend(self, latent, sigma):
        blended = latent * self.nmask + self.init_latent * self.mask
        if self.p.scripts is not None:
            args = scripts.MaskBlendArgs(latent, self.nmask, self.init_latent, self.mask, blended, self, sigma)
            self.p.scripts.on_mask_blend(self.p, args)
            blended = args.blended_latent
        return blended
