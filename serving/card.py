"""Reading a model card, wherever it comes from: a file of a version, or a server's answer."""

import json
from typing import Any, Final

#: Its file in the directory of a version.
CARD_FILE: Final = "model_card.json"


def parse_card(payload: bytes | str) -> dict[str, Any]:
    """The JSON object of a card, such that it can be handed on as JSON.

    Raises:
        ValueError: it is no JSON object, is nested past all reason, or holds NaN, infinity or half a
            character.
    """
    try:
        card = json.loads(payload)
        json.dumps(card, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("the card is nested too deeply") from None
    if not isinstance(card, dict):
        raise ValueError("the card is no JSON object")
    return card
