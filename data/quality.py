"""What is doubtful about an image as a scan: its format, resolution, artefacts and contrast.

The thresholds were set by looking at the extremes of five public sources (1,543 images of 9,273). A
rejection is for what no reader of scans would work with; everything that the sources hold and a
radiologist could still read at worst earns a warning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Final

import numpy as np
from PIL import Image, ImageChops

from data.content import content_box


class Severity(StrEnum):
    """What a finding means for the image."""

    REJECT = "reject"
    WARN = "warn"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """From where on a measurement is doubtful, and from where on hopeless.

    Attributes:
        code: machine-readable name of the finding.
        warn: first value of which to warn.
        reject: first value to reject; the higher of both tells that high values are bad.
        message: one sentence with `{value}`, for the person who owns the image.
    """

    code: str
    warn: float
    reject: float
    message: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is doubtful about an image.

    Attributes:
        code: machine-readable name: that of a limit.
        severity: whether the image is still usable.
        value: what was measured.
        threshold: the limit that it went beyond.
        message: one sentence.
    """

    code: str
    severity: Severity
    value: float
    threshold: float
    message: str


#: Format: side to side. Slices reach 1.8 with their margins; a strip is a row of slices or a banner.
ASPECT: Final = Limit(
    code="aspect",
    warn=2.0,
    reject=4.0,
    message="The image is {value:.1f} times as long as wide. Send a single slice.",
)
#: Resolution: longer side in pixels of what differs from the background. The model sees 224, so half
#: of that is already enlarged twofold; below 64 folds and small lesions are gone. Sources: 117 and up.
RESOLUTION: Final = Limit(
    code="low_resolution",
    warn=112,
    reject=64,
    message="The head is only {value:.0f} pixels long. Send the scan in its original size.",
)
#: Artefact: share of pixels whose colours differ by more than 40 levels. Scans are grey; logos and
#: annotations cover 0.1 to 4 % of some web images, a colour map or a photo most.
COLOUR: Final = Limit(
    code="colour",
    warn=0.001,
    reject=0.25,
    message="{value:.1%} of the image are coloured, a scan is grey. Send it without annotations.",
)
#: Artefact: share of pixels at 250 levels and more. From a tenth on, what should be tissue is burnt
#: out or the page around the scan is white. Sources: up to 0.47, which is such a page.
SATURATION: Final = Limit(
    code="saturated",
    warn=0.10,
    reject=0.60,
    message="{value:.0%} of the image are pure white. Export it with a wider window, without a page.",
)
#: Artefact: share of the area in the box of what differs from the background. Sources: 0.23 and up.
BORDER: Final = Limit(
    code="wide_border",
    warn=0.25,
    reject=0.05,
    message="The head fills only {value:.0%} of the image. Cut the margin off.",
)
#: Artefact: number of grey levels. Sources: 60 and up; a mask, a drawing or a fax has a handful.
LEVELS: Final = Limit(
    code="few_grey_levels",
    warn=48,
    reject=16,
    message="The image has only {value:.0f} grey levels. Export the scan, not a drawing or a mask.",
)
#: Contrast: levels between the 1st and the 99th percentile. Below 50 a scan is hard to see on a
#: screen, below 16 rounding to whole levels has erased its texture.
CONTRAST: Final = Limit(
    code="low_contrast",
    warn=50,
    reject=16,
    message="The image spans only {value:.0f} of 255 grey levels. Export it with a narrower window.",
)
#: Difference between the strongest and the weakest colour that counts as coloured; JPEG blurs colour.
_COLOURED: Final = 40
_WHITE: Final = 250
#: Side to which images are reduced to find the head: enough for a box, whatever the size.
_BOX_SIDE: Final = 512


def check_quality(image: Image.Image) -> list[Finding]:
    """List what is doubtful about an image; nothing is changed and nothing is kept.

    Args:
        image: upright RGB in its original size, from `data.imaging.decode_scan`.

    Returns:
        Findings, rejections first; empty for an image like most scans.
    """
    findings = [finding for limit, value in _measure(image) if (finding := _judge(limit, value))]
    return sorted(findings, key=lambda one: one.severity is not Severity.REJECT)


def _measure(image: Image.Image) -> Iterator[tuple[Limit, float]]:
    grey = image.convert("L")
    histogram = np.array(grey.histogram())
    pixels = int(histogram.sum())
    width, height = image.size
    yield ASPECT, max(image.size) / min(image.size)

    factor = max(1, -(-max(image.size) // _BOX_SIDE))
    left, top, right, bottom = content_box(np.asarray(grey.reduce(factor), dtype=np.float32))
    box = (right - left) * factor, (bottom - top) * factor
    yield RESOLUTION, min(max(box), max(image.size))
    yield BORDER, min(1.0, box[0] * box[1] / (width * height))

    channels = image.split()
    spread = ImageChops.subtract(
        reduce(ImageChops.lighter, channels), reduce(ImageChops.darker, channels)
    )
    yield COLOUR, sum(spread.histogram()[_COLOURED + 1 :]) / pixels
    yield SATURATION, float(histogram[_WHITE:].sum()) / pixels
    yield LEVELS, int((histogram > 0).sum())
    low, high = np.searchsorted(histogram.cumsum() / pixels, (0.01, 0.99))
    yield CONTRAST, int(high - low)


def _judge(limit: Limit, value: float) -> Finding | None:
    high_is_bad = limit.reject > limit.warn
    for severity, threshold in (
        (Severity.REJECT, limit.reject),
        (Severity.WARN, limit.warn),
    ):
        if value > threshold if high_is_bad else value < threshold:
            message = limit.message.format(value=value)
            return Finding(
                code=limit.code,
                severity=severity,
                value=round(value, 4),
                threshold=threshold,
                message=message,
            )
    return None
