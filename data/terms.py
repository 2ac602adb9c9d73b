"""Under which terms the scans of a source are, as far as they are known."""

from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """What a licence asks of whatever is made from the scans, the freest first."""

    ATTRIBUTION = "attribution"
    NON_COMMERCIAL = "non-commercial use"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Of one source.

    Attributes:
        title: what the source is, and whose.
        licence: in words.
        use: what that asks for.
        limit: what its scans cannot teach, for a list of limits, or empty.
        showable: whether single scans may be shown, with title and licence beside them.
    """

    title: str
    licence: str
    use: Use
    limit: str = ""
    showable: bool = False


#: Of a source about which nobody told us anything.
UNKNOWN: Terms = Terms(
    title="none of the public collections that we know",
    licence="terms unknown to us",
    use=Use.UNKNOWN,
    limit="what it holds, and how its labels came about, is unknown to us",
)
