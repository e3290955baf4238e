"""The region around a mask (masking.py)."""


def get_crop_region_v2(mask, pad=0):
    """masking.py:4: None for a black mask."""
    box = mask.getbbox()
    return box and (
        max(box[0] - pad, 0),
        max(box[1] - pad, 0),
        min(box[2] + pad, mask.width),
        min(box[3] + pad, mask.height),
    )


def expand_crop_region(crop_region, processing_width, processing_height, image_width, image_height):
    """masking.py:39: grown on its shorter side to the proportions of processing, kept inside the image."""
    x1, y1, x2, y2 = crop_region
    ratio = processing_width / processing_height
    if (x2 - x1) / (y2 - y1) > ratio:
        y1, y2 = _grow(y1, y2, int((x2 - x1) / ratio - (y2 - y1)), image_height)
    else:
        x1, x2 = _grow(x1, x2, int((y2 - y1) * ratio - (x2 - x1)), image_width)
    return x1, y1, x2, y2


def _grow(low, high, more, limit):
    low, high = low - more // 2, high + more - more // 2
    shift = max(high - limit, 0)
    low, high = low - shift, high - shift
    shift = max(-low, 0)
    return low + shift, min(high + shift, limit)
