"""The words of the page, for what the server itself writes: `texts/LANGUAGE.json`, the page's own file."""

import json
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Final, Literal, get_args

TEXTS: Final = Path(__file__).resolve().parent / "texts"
Language = Literal["en", "de"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


class Words:
    """Texts, shares and numbers of one language; the twin of `assets/texts.js`."""

    def __init__(self, language: str) -> None:
        """Read the language's file.

        Raises:
            ValueError: there is no such language.
        """
        if language not in LANGUAGES:
            raise ValueError(f"no texts in {language!r}")
        self.language = language
        self._texts: dict[str, str] = json.loads((TEXTS / f"{language}.json").read_text("utf-8"))

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def __call__(self, key: str, **places: str) -> str:
        """A text with its places filled in: `words("percent", value="3.0")`.

        Raises:
            KeyError: no such text, or a place without a value.
        """
        return self._texts[key].format(**places)

    def percent(self, share: float) -> str:
        """A share 0..1 with one decimal, and never a certainty, for a calibrated model has none."""
        shown = min(max(share, 0), 1) * 100
        if shown < 0.1:
            return self("percent.under")
        if shown > 99.9:
            return self("percent.over")
        return self("percent", value=self.number(shown, 1))

    def number(self, value: float, decimals: int = 0) -> str:
        """A number with so many decimals, written as the language does.

        Raises:
            ValueError: it is none.
        """
        if not isfinite(value):
            raise ValueError("no finite number")
        # Rounded as the browser rounds, half away from zero, so that page and report say the same.
        exact = Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
        written = f"{exact:,}"
        return written.translate(str.maketrans(",.", ".,")) if self.language == "de" else written


@cache
def words_of(language: str) -> Words:
    """The words of a language, read once.

    Raises:
        ValueError: there is no such language.
    """
    return Words(language)
