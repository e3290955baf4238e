"""What we use of the webui's objects, as types: the person's `p`, `shared`, `processing`, a script, an upscaler.

Each Protocol names what every host we know has. What a host may lack is asked for with `getattr` or `hasattr` where it
is used, and stands here only where it is also set. File:line references are to AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

from PIL import Image


class Script(Protocol):
    """A script of a tab (scripts.py:35). args_from, args_to: where its values stand among those of all scripts; None
    before the tab is built."""

    args_from: int | None
    args_to: int | None

    def title(self) -> str:
        """Its name, as people see it."""
        ...


class HookedScript(Script, Protocol):
    """A script with the two hooks that ADetailer works by."""

    def process(self, p: Processing, *args: Any) -> None:
        """Before a call (scripts.py:127)."""
        ...

    def postprocess_image(self, p: Processing, pp: Any, *args: Any) -> None:
        """After each picture; pp.image is the picture, and is replaced (scripts.py:193)."""
        ...


class ScriptRunner(Protocol):
    """The scripts of a tab (scripts.py:538). callback_map: which scripts have which hooks; some hosts have none."""

    scripts: Sequence[Script]
    alwayson_scripts: Sequence[Any]
    callback_map: dict[str, Any]


class Sampler(Protocol):
    """A sampler made for one call (sd_samplers_common.py:253)."""

    func: Callable[..., Any]
    model_wrap_cfg: Any
    create_noise_sampler: Callable[..., Any]
    sample_img2img: Callable[..., Any]


class Processing(Protocol):
    """A `StableDiffusionProcessingImg2Img` (processing.py:1546): a request, and what its call fills in."""

    # The request's.
    prompt: str
    negative_prompt: str
    styles: list[str]
    seed: Any
    """A number; -1, "" or None for a random one. In a tile's copy perhaps a list, one for each window."""
    subseed: Any
    subseed_strength: float
    steps: int
    cfg_scale: float
    sampler_name: str
    width: int
    height: int
    batch_size: int
    n_iter: int
    denoising_strength: float
    resize_mode: int
    init_images: list[Image.Image]
    image_mask: Image.Image | None
    mask_blur: int
    mask_blur_x: float
    mask_blur_y: float
    inpainting_mask_invert: int
    restore_faces: bool | None
    override_settings: dict[str, Any]
    do_not_save_samples: bool
    outpath_samples: str
    s_min_uncond: float
    scripts: ScriptRunner | None
    script_args: list[Any]
    # Of its call.
    sd_model: SdModel
    sampler: Sampler
    rng: Any
    """The host's ImageRNG, perhaps wrapped by an extension: `next()` gives the noise of the next draw."""
    init_latent: Any
    image_conditioning: Any
    image_cfg_scale: float | None
    iteration: int
    batch_index: int
    all_prompts: list[str]
    all_negative_prompts: list[str]
    all_seeds: list[int]
    all_subseeds: list[int]
    comments: dict[str, int]
    extra_generation_params: dict[str, Any]
    sd_model_name: str
    sd_model_hash: str
    # Methods, which we replace in a tile's copy.
    init: Callable[..., Any]
    sample: Callable[..., Any]
    cached_params: Callable[..., Any]
    get_conds_with_caching: Callable[..., Any]
    usdu_tiles: list[tuple[int, int, int, int, int, int]]
    """Ours: see `tile_call.tile_processing`."""

    def setup_prompts(self) -> None:
        """Fills all_prompts and all_negative_prompts, with the styles in them (processing.py:396)."""
        ...


class SdModel(Protocol):
    """A checkpoint in memory. Forge's has `forge_objects`; A1111's has `model`, a torch module."""

    sd_checkpoint_info: Any
    sd_model_hash: str


class Processed(Protocol):
    """What a call of the host returns (processing.py:507)."""

    images: list[Any]
    index_of_first_image: int
    js: Callable[[], str]


class ProcessingModule(Protocol):
    """The host's module `processing`."""

    Processed: Callable[..., Processed]
    DecodedSamples: Callable[[], list[Any]]
    images_tensor_to_samples: Callable[..., Any]
    decode_latent_batch: Callable[..., Any]

    def process_images(self, p: Processing) -> Processed:
        """One call: all windows of a tile's p."""
        ...

    def get_fixed_seed(self, seed: Any) -> int:
        """The seed; a random one for -1, "" and None."""
        ...

    def create_infotext(self, p: Processing, all_prompts: Any, all_seeds: Any, all_subseeds: Any) -> str:
        """The generation parameters of the first picture."""
        ...


class Setting(Protocol):
    """The description of one of the host's settings (options.py:11)."""

    default: Any
    section: tuple[str | None, ...] | None


class Settings(Protocol):
    """The host's `shared.opts` (options.py:75): its settings are attributes too."""

    data: MutableMapping[str, Any]
    data_labels: Mapping[str, Setting]
    enable_pnginfo: bool
    face_restoration: bool
    img2img_background_color: str
    live_previews_enable: bool
    samples_format: str
    samples_save: bool

    def set(self, key: str, value: Any, is_api: bool = ..., run_callbacks: bool = ...) -> bool:
        """Sets one, and tells whoever listens to it. Raises what `--freeze-settings` raises."""
        ...

    def add_option(self, key: str, info: Any) -> None:
        """Adds an extension's own to the settings page."""
        ...

    def get_default(self, key: str) -> Any:
        """Its value before anybody changed it."""
        ...


class State(Protocol):
    """The host's `shared.state` (shared_state.py): what the page and the API are told of the run, and its buttons."""

    job: str
    job_no: float
    job_count: float
    sampling_step: int
    sampling_steps: int
    interrupted: bool
    skipped: bool
    textinfo: str | None
    time_start: float

    def assign_current_image(self, image: Image.Image) -> None:
        """Shows a picture in the page."""
        ...


class HostUpscaler(Protocol):
    """One of the host's upscalers, by name (upscaler.py:110). data_path: its file, or an address to load it from."""

    name: str
    data_path: str | None
    scaler: Any


class Shared(Protocol):
    """The host's module `shared`."""

    cmd_opts: Any
    device: Any
    interrogator: Any
    opts: Settings
    sd_model: SdModel
    sd_upscalers: Sequence[HostUpscaler]
    state: State
    total_tqdm: Any


class Devices(Protocol):
    """The host's module `devices`."""

    device: Any
    dtype: Any


class Errors(Protocol):
    """The host's module `errors`."""

    report: Callable[..., None]


class Images(Protocol):
    """The host's module `images`."""

    save_image: Callable[..., Any]
    read: Callable[..., Image.Image]

    def flatten(self, img: Image.Image, bgcolor: str) -> Image.Image:
        """Without transparency, on this colour."""
        ...
