"""Images that are drawn from a random generator and show no brain: one function a family.

Each takes a `numpy.random.Generator` and returns a Pillow image of a few hundred pixels a side, grey or
RGB. They stand for what people drop on a page by mistake, and for what a program sends by mistake.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Draw = Callable[[np.random.Generator], Image.Image]

_TEXT: Final = (
    "the patient was seen in our clinic on and reported no pain since last month blood pressure "
    "normal please find enclosed invoice total amount due within thirty days kind regards "
    "department of address table results method figure page contract signature date number name"
)


def noise(generator: np.random.Generator) -> Image.Image:
    """Uniform, Gaussian, salt-and-pepper, coloured or coarse noise."""
    kind, side = generator.integers(0, 5), 224
    if kind == 0:
        levels = generator.uniform(0, 255, (side, side))
    elif kind == 1:
        levels = generator.normal(
            generator.uniform(60, 190), generator.uniform(15, 70), (side, side)
        )
    elif kind == 2:
        levels = np.where(generator.random((side, side)) < generator.uniform(0.02, 0.5), 255, 0)
    elif kind == 3:
        levels = generator.uniform(0, 255, (side, side, 3))
    else:
        cells = int(generator.integers(4, 60))
        coarse = generator.integers(0, 256, (cells, cells), np.uint8)
        return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    return _grey_levels(levels)


def fractal_noise(generator: np.random.Generator) -> Image.Image:
    """Noise with the spectrum of natural images, 1/fᵃ: clouds, some of them cut to a disc."""
    side = 224
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(generator.normal(size=(side, side)))
    field = np.fft.irfft2(spectrum / frequency ** generator.uniform(0.5, 2.0), s=(side, side))
    field = (field - field.min()) / (field.max() - field.min()) * 255
    if generator.random() < 0.4:
        y, x = np.mgrid[:side, :side] / side - 0.5
        field = field * (
            np.hypot(x, y * generator.uniform(0.8, 1.2)) < generator.uniform(0.3, 0.48)
        )
    return _grey_levels(field)


def blank(generator: np.random.Generator) -> Image.Image:
    """One grey or colour, or a linear or radial gradient of it, sometimes with a little noise."""
    side = 224
    y, x = np.mgrid[:side, :side] / side
    angle = generator.uniform(0, 2 * np.pi)
    ramps = (
        np.zeros((side, side)),
        np.cos(angle) * x + np.sin(angle) * y,
        np.hypot(x - 0.5, y - 0.5),
    )
    ramp = ramps[generator.integers(0, 3)][..., None] * generator.uniform(-255, 255)
    colour = generator.uniform(0, 255, 3) if generator.random() < 0.5 else generator.uniform(0, 255)
    return _grey_levels(
        colour + np.repeat(ramp, 3, axis=2) + generator.normal(0, 1, (side, side, 1))
    )


def document(generator: np.random.Generator) -> Image.Image:
    """A page of printed text, sometimes white on black, turned, as a form or as a receipt."""
    width, height = int(generator.integers(300, 800)), int(generator.integers(300, 1000))
    ink, paper = (0, int(generator.integers(200, 256)))
    if generator.random() < 0.2:
        ink, paper = paper, ink
    page = Image.new("L", (width, height), paper)
    pen = ImageDraw.Draw(page)
    size = int(generator.integers(10, 30))
    font = ImageFont.load_default(size)
    for y in range(int(generator.integers(10, 60)), height - size, round(size * 1.4)):
        if generator.random() < 0.12:
            continue
        line = " ".join(generator.choice(_TEXT.split(), int(generator.integers(2, 18))))
        pen.text((width * 0.06, y), line, ink, font=font)
    if generator.random() < 0.4:
        for _ in range(int(generator.integers(2, 9))):
            corner = generator.uniform(0, 0.8, 2) * (width, height)
            pen.rectangle(
                (*corner, *(corner + generator.uniform(20, 200, 2))), outline=ink, width=2
            )
    return (
        page.rotate(generator.uniform(-8, 8), fillcolor=paper) if generator.random() < 0.4 else page
    )


def drawing(generator: np.random.Generator) -> Image.Image:
    """Strokes, outlines and filled shapes, black on white, white on black or coloured."""
    side = 300
    coloured = generator.random() < 0.4
    pick = lambda: tuple(int(c) for c in generator.integers(0, 256, 3))  # noqa: E731
    dark = generator.random() < 0.4
    sheet = Image.new("RGB", (side, side), "black" if dark else "white")
    pen = ImageDraw.Draw(sheet)
    for _ in range(int(generator.integers(2, 25))):
        colour = pick() if coloured else ("white" if dark else "black")
        points = [tuple(point) for point in generator.uniform(0, side, (4, 2))]
        box = (*np.minimum(points[0], points[1]), *np.maximum(points[0], points[1]))
        width = int(generator.integers(1, 9))
        shape = generator.integers(0, 5)
        if shape == 0:
            walk = np.cumsum(generator.normal(0, 12, (40, 2)), axis=0) + points[0]
            pen.line([tuple(point) for point in walk], colour, width, joint="curve")
        elif shape == 1:
            pen.ellipse(box, outline=colour, width=width)
        elif shape == 2:
            pen.rectangle(box, outline=colour, width=width)
        elif shape == 3:
            pen.polygon(points, fill=colour if generator.random() < 0.5 else None, outline=colour)
        else:
            pen.line(points, colour, width)
    return sheet


def chart(generator: np.random.Generator) -> Image.Image:
    """A plot of matplotlib: lines, bars, points, a pie, a map of numbers or curves like an ECG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2, 2.6), dpi=100)
    figure.set_facecolor("black" if generator.random() < 0.2 else "white")
    axes = figure.add_subplot()
    kind = generator.integers(0, 6)
    x = np.arange(40)
    if kind == 0:
        axes.plot(x, np.cumsum(generator.normal(size=(40, 3)), axis=0))
    elif kind == 1:
        axes.bar(x[:8], generator.random(8))
    elif kind == 2:
        axes.plot(*generator.normal(size=(2, 80)), "o", markersize=3)
    elif kind == 3:
        axes.pie(generator.random(5) + 0.1)
    elif kind == 4:
        axes.imshow(generator.random((12, 12)), cmap=str(generator.choice(["gray", "viridis"])))
    else:
        beats = np.sin(np.linspace(0, 60, 600)) ** 31 + generator.normal(0, 0.03, 600)
        axes.plot(beats, color="black", linewidth=0.8)
        axes.grid()
    encoded = BytesIO()
    FigureCanvasAgg(figure).print_png(encoded)
    return Image.open(encoded)


def pattern(generator: np.random.Generator) -> Image.Image:
    """Checks, stripes, rings, cells or tiles."""
    side, kind = 224, generator.integers(0, 5)
    y, x = np.mgrid[:side, :side].astype(float)
    period, angle = generator.uniform(4, 60), generator.uniform(0, np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    if kind == 0:
        levels = 255.0 * ((along // period + across // period) % 2)
    elif kind == 1:
        levels = 127 + 127 * np.sin(2 * np.pi * along / period)
    elif kind == 2:
        levels = 127 + 127 * np.sin(2 * np.pi * np.hypot(x - side / 2, y - side / 2) / period)
    elif kind == 3:
        seeds = generator.uniform(0, side, (int(generator.integers(5, 60)), 2))
        nearest = ((x[..., None] - seeds[:, 0]) ** 2 + (y[..., None] - seeds[:, 1]) ** 2).argmin(-1)
        levels = generator.uniform(0, 255, len(seeds))[nearest]
    else:
        tile = generator.integers(0, 256, (int(period) + 2, int(period) + 2))
        levels = np.tile(tile, (side, side))[:side, :side].astype(float)
    return _grey_levels(levels)


def radiograph(generator: np.random.Generator) -> Image.Image:
    """A make-believe X-ray: attenuation through ellipses for trunk, lungs, ribs, or a limb's bones."""
    width, height = int(generator.integers(180, 320)), int(generator.integers(220, 320))
    y, x = np.mgrid[:height, :width].astype(float)
    x, y = x / width - 0.5, y / height - 0.5
    depth = lambda cx, cy, rx, ry: np.sqrt(  # noqa: E731
        np.clip(1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2, 0, None)
    )
    jitter = lambda value: value * generator.uniform(0.85, 1.15)  # noqa: E731
    if generator.random() < 0.6:
        path = 1.2 * depth(0, 0.1, jitter(0.5), jitter(0.75))
        path -= 0.9 * depth(-0.21, 0, jitter(0.15), jitter(0.33))
        path -= 0.9 * depth(0.21, 0, jitter(0.15), jitter(0.33))
        path += 0.5 * np.exp(-((x / 0.05) ** 2))
        for rib in np.linspace(-0.35, 0.3, int(generator.integers(6, 11))):
            path += 0.18 * np.exp(-(((y - rib - 0.8 * x**2) / 0.012) ** 2)) * (np.abs(x) < 0.42)
    else:
        path = 0.7 * depth(0, 0, jitter(0.4), jitter(1.2))
        for bone in generator.uniform(-0.25, 0.25, int(generator.integers(1, 4))):
            outer, inner = jitter(0.08), jitter(0.045)
            path += 0.9 * depth(bone, 0, outer, 1.5) - 0.5 * depth(bone, 0, inner, 1.4)
    levels = 255 * (1 - np.exp(-1.6 * np.clip(path, 0, None)))
    levels += generator.normal(0, generator.uniform(1, 8), levels.shape)
    image = _grey_levels(levels if generator.random() < 0.8 else 255 - levels)
    return image.filter(ImageFilter.GaussianBlur(generator.uniform(0, 1.5)))


def _grey_levels(levels: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


#: Families drawn here, by name.
DRAWN: Final[dict[str, Draw]] = {
    "noise": noise,
    "fractal_noise": fractal_noise,
    "blank": blank,
    "document": document,
    "drawing": drawing,
    "chart": chart,
    "pattern": pattern,
    "radiograph_drawn": radiograph,
}
