"""One A4 sheet in the page's style: the means of drawing that `report.py` writes with."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos
from fpdf.recorder import FPDFRecorder
from PIL import Image

#: The fonts that every reader of PDF has know these characters: all of western Europe's.
ENCODING: Final = "cp1252"
MARGIN: Final = 18.0
WIDTH: Final = 210 - 2 * MARGIN
HEIGHT: Final = 297.0

Colour = tuple[int, int, int]
INK: Final = (27, 39, 51)
QUIET: Final = (85, 99, 111)
LINE: Final = (217, 224, 230)
ACCENT: Final = (11, 98, 133)
ALARM: Final = (143, 43, 31)
ALARM_GROUND: Final = (251, 238, 235)
GROUND: Final = (245, 247, 249)
ZONES: Final = ((207, 230, 212), (243, 227, 184), (240, 201, 195))


class Sheet:
    """A single page; `y` is the height in millimetres at which the next block begins."""

    def __init__(self, title: str, language: str, made: datetime) -> None:
        self._pdf: FPDF | FPDFRecorder = FPDF(format="A4", unit="mm")
        self._pdf.core_fonts_encoding = ENCODING
        self._pdf.set_auto_page_break(False)
        self._pdf.set_margin(0)
        self._pdf.c_margin = 0
        self._pdf.set_title(title)
        self._pdf.set_lang(language)
        self._pdf.set_creation_date(made)
        self._pdf.add_page()
        self.y = MARGIN

    def finish(self) -> bytes:
        """The file."""
        return bytes(self._pdf.output())

    def text(
        self,
        text: str,
        size: float = 9.5,
        *,
        x: float = MARGIN,
        width: float = WIDTH,
        bold: bool = False,
        colour: Colour = INK,
        align: Align = Align.L,
        link: str = "",
    ) -> None:
        """Write a paragraph at `y`, wrapped to a width, and go on below it."""
        text = text.encode(ENCODING, "replace").decode(ENCODING)
        self._pdf.set_font("helvetica", "B" if bold else "", size)
        self._pdf.set_text_color(*colour)
        self._pdf.set_xy(x, self.y)
        self._pdf.multi_cell(
            width, size * 0.48, text, align=align, link=link, new_x=XPos.LEFT, new_y=YPos.NEXT
        )
        self.y = self._pdf.get_y()

    def boxed(self, text: str, *, edge: Colour = ACCENT, ground: Colour = GROUND) -> None:
        """A paragraph on a ground with a coloured edge."""
        padding, edge_width, top = 2.4, 1.1, self.y
        x, width = MARGIN + edge_width + 3, WIDTH - edge_width - 6
        colour = edge if edge == ALARM else INK

        def write() -> None:
            self.text(text, bold=True, x=x, width=width, colour=colour)

        height = self.height_of(write) + 2 * padding
        self.rectangle(MARGIN, top, WIDTH, height, ground)
        self.rectangle(MARGIN, top, edge_width, height, edge)
        self.y = top + padding
        write()
        self.y = top + height

    def height_of(self, draw: Callable[[], None]) -> float:
        """How far `draw` moves `y`; nothing is drawn."""
        top, pdf = self.y, self._pdf
        with pdf.offset_rendering() as trial:
            self._pdf = trial
            try:
                draw()
                return self.y - top
            finally:
                self.y, self._pdf = top, pdf

    def picture(self, image: Image.Image, x: float, side: float, caption: str) -> None:
        """A square picture with its caption below; `y` stays."""
        top = self.y
        self._pdf.image(image, x, top, side, side, alt_text=caption)
        self.y = top + side + 1.8
        self.text(caption, 8.5, x=x, width=side, colour=QUIET)
        self.y = top

    def rectangle(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle."""
        self._pdf.set_fill_color(*colour)
        self._pdf.rect(x, y, width, height, style="F")

    def rule(self) -> None:
        """A thin line over the whole width."""
        self.rectangle(MARGIN, self.y, WIDTH, 0.25, LINE)

    def marker(self, x: float) -> None:
        """A small triangle that points down to `y`."""
        self._pdf.set_fill_color(*INK)
        self._pdf.polygon(
            [(x - 1.7, self.y - 2.4), (x + 1.7, self.y - 2.4), (x, self.y)], style="F"
        )
