"""Values of single DICOM elements, whatever somebody has put there."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Bytes of an element that holds some numbers or a code; pydicom makes an object of each value.
_MAX_VALUE_BYTES: Final = 4096


def values_of(dataset: Any, keyword: str) -> list[Any]:
    """All values of an element; none if it is absent, overlong or cannot be read."""
    raw = dataset.get_item(keyword)
    if raw is None or (isinstance(raw.value, bytes) and len(raw.value) > _MAX_VALUE_BYTES):
        return []
    try:
        value = dataset[keyword].value
    except Exception:  # values that are none of their kind
        return []
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | int | float) else list(value)


def text_of(dataset: Any, keyword: str) -> str:
    """The first value as a code, upper case; empty if there is none."""
    return str(next(iter(values_of(dataset, keyword)), "")).strip().upper()


def numbers_of(dataset: Any, keyword: str, count: int | None = None) -> NDArray[np.float64] | None:
    """Finite numbers, exactly `count` of them, or at least one; None otherwise."""
    try:
        numbers = np.array([float(one) for one in values_of(dataset, keyword)])
    except (TypeError, ValueError):
        return None
    fits = len(numbers) == count if count else len(numbers) > 0
    return numbers if fits and np.isfinite(numbers).all() else None


def floats_of(dataset: Any, keyword: str, count: int, *, default: float) -> NDArray[np.float64]:
    """As `numbers_of`, with `default` for each where there are none."""
    numbers = numbers_of(dataset, keyword, count)
    return np.full(count, default) if numbers is None else numbers


def count_of(dataset: Any, keyword: str, default: int) -> int:
    """A whole number above 0; `default` where there is none."""
    number = int(floats_of(dataset, keyword, 1, default=float(default))[0])
    return number if number > 0 else default
