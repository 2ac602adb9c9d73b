"""All words of the page are in `ui/texts`, the same in every language, and none of them idle."""

import json
import re
from itertools import chain
from pathlib import Path

import pytest

from ui.page import ASSETS
from ui.words import TEXTS

#: What the server says it says in English; other languages add their words under the reason's code.
SERVER = "server."
ROOMS = [Path(__file__).parents[2] / room for room in ("data", "ui")]

MODULES = {path.name: path.read_text() for path in sorted(ASSETS.glob("*.js"))}
LANGUAGES: dict[str, dict[str, str]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(TEXTS.glob("*.json"))
}
ENGLISH = LANGUAGES["en"]

SOURCES = {path.name: path.read_text() for room in ROOMS for path in sorted(room.glob("*.py"))}

#: Strings in modules that look like words to read, and are not for translation.
NO_TEXT = {
    "Accept",  # a header
    "English",  # languages are named in themselves
    "Deutsch",
    "dense forest-table",  # classes
    "The file is empty. Export the scan again and send that file.",  # what the API answers,
    "no answer: not like the scans that the model knows",  # and a program's own words: examples
}

_LITERAL = re.compile(r'\b(?:t|has)\("([^"]+)"')
_PUT_TOGETHER = re.compile(r"\b(?:t|has)\(`([^`]+)`")
_PATTERN = re.compile(r"`((?:[\w.]|\$\{[^}`]*\})+)`")
_WORDS = re.compile(r"words\(\s*f?[\"']([\w.]+(?:\{[^}]*\})?)")
_REASON = re.compile(r"""(?:AnalysisError|ScanError)\(\s*(?:[\w.]+,\s*)?"(\w+)"(?=,)""")
_LIMIT = re.compile(r'code="(\w+)"')
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def used_keys() -> set[str]:
    """The keys that modules name outright."""
    return set(chain.from_iterable(_LITERAL.findall(code) for code in MODULES.values()))


def pattern_of(template: str) -> re.Pattern[str]:
    """Of a template such as `risk.${risk}` the keys that it may become."""
    parts = re.split(r"\$?\{[^}]*\}", template)
    return re.compile(r"[\w.]+".join(map(re.escape, parts)))


def possible_keys() -> list[re.Pattern[str]]:
    """The keys that modules put together, or that the server's report uses."""
    templates = set(chain.from_iterable(_PATTERN.findall(code) for code in MODULES.values()))
    named = (each for each in templates if re.search(r"\w\.|_", re.sub(r"\{.*?\}", "", each)))
    in_report = chain.from_iterable(_WORDS.findall(code) for code in SOURCES.values())
    return [pattern_of(each) for each in (*named, *in_report)]


def places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_language_has_the_same_texts_and_places(language: str) -> None:
    texts = {key: v for key, v in LANGUAGES[language].items() if not key.startswith(SERVER)}
    assert set(texts) == set(ENGLISH)
    assert {key for key in texts if places(texts[key]) != places(ENGLISH[key])} == set()
    assert {key for key in texts if not texts[key].strip()} == set()


def test_every_key_that_is_used_exists() -> None:
    assert used_keys() - set(ENGLISH) == set()
    put_together = chain.from_iterable(_PUT_TOGETHER.findall(code) for code in MODULES.values())
    every_key = set(chain.from_iterable(LANGUAGES.values()))
    lost = {key for key in put_together if not any(map(pattern_of(key).fullmatch, every_key))}
    assert lost == set()


def test_every_text_is_used() -> None:
    # A key may also stand in a table of a module, to be looked up from there.
    quoted = set(chain.from_iterable(_STRING.findall(code) for code in MODULES.values()))
    patterns = possible_keys()
    idle = {
        key
        for key in ENGLISH
        if key not in quoted and not any(pattern.fullmatch(key) for pattern in patterns)
    }
    assert idle == set()


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_what_the_server_says_is_said_in_every_language(language: str) -> None:
    code = "\n".join(SOURCES.values())
    reasons = set(_REASON.findall(code)) | set(_LIMIT.findall(SOURCES["quality.py"]))
    assert len(reasons) > 30
    said = {key.removeprefix(SERVER) for key in LANGUAGES[language] if key.startswith(SERVER)}
    assert reasons - said == set()
    assert {reason for reason in said if f'"{reason}"' not in code} == set()


def test_no_module_speaks_for_itself() -> None:
    """A string of several words, or one that is a child of an element, is something to read."""
    spoken = []
    for name, code in MODULES.items():
        bare = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
        bare = re.sub(r"^\s*//.*$|\s// .*$", "", bare, flags=re.MULTILINE)
        # Classes, styles, addresses and selectors are read by the browser alone.
        bare = re.sub(
            r'\b(class|style|accept|template|d|points|transform): ("[^"]*"|`[^`]*`)', "", bare
        )
        bare = re.sub(
            r"(querySelector(All)?|closest|matches|matchMedia|classList\.\w+)\([^)]*\)", "", bare
        )
        spoken += [
            f"{name}: {text}"
            for text in set(_STRING.findall(bare)) - NO_TEXT
            if re.search(r"[a-z]{2,}[,.]? [a-z]{2,}", text, re.IGNORECASE)
            or re.fullmatch(r"[A-ZÄÖÜ][a-zäöü]{2,}\W*", text)
        ]
    assert spoken == []
