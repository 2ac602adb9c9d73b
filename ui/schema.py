"""What the HTTP API says: the JSON of answers, of the events of a stream, and of errors."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from data.labels import Label
from data.planes import Plane
from data.studies import StudyKind
from serving.contract import Risk

DISCLAIMER: Final = "Not a medical device. For research and teaching."
#: The largest version that the model server's protocol can name.
MAX_VERSION: Final = 2**63 - 1


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable machine-readable reason.", examples=["empty"])
    message: str = Field(
        description="A sentence for a person.",
        examples=["The file is empty. Export the scan again and send that file."],
    )


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class ThresholdValues(BaseModel):
    """The version's operating points on `probability`."""

    low: float = Field(description="Below it the risk is low.", examples=[0.12])
    label: float = Field(description="From it on the label is `tumor`.", examples=[0.5])
    high: float = Field(description="From it on the risk is high.", examples=[0.9])


class ModelVersion(BaseModel):
    """Which model answered."""

    name: str = Field(examples=["brain_tumor"])
    version: int = Field(examples=[1])


class Latency(BaseModel):
    """Where the time went, in milliseconds."""

    prepare: float = Field(description="Decoding and letterboxing.", examples=[4.1])
    model: float = Field(
        description="The model server's answers, network included.", examples=[38.5]
    )


class Decision(BaseModel):
    """What the model says about one image."""

    label: Label = Field(description="The class the model decides for.", examples=["tumor"])
    probability: float = Field(description="Calibrated P(tumour), 0..1.", examples=[0.953])
    confidence: float = Field(description="Probability of `label`, 0..1.", examples=[0.953])
    risk: Risk = Field(
        description="`probability` against the thresholds; medium means unsure.", examples=["high"]
    )
    in_distribution: bool = Field(
        description="False: the image does not look like the scans the model knows; "
        "do not rely on the answer.",
        examples=[True],
    )
    ood_score: float = Field(
        description="How unlike the scans it knows; above 1 is not `in_distribution`.",
        examples=[0.4],
    )


class Analysis(Decision):
    """The answer to one scan."""

    thresholds: ThresholdValues
    model: ModelVersion
    latency_ms: Latency
    disclaimer: str = Field(examples=[DISCLAIMER])


class QualityWarning(BaseModel):
    """What is doubtful about an image as a scan."""

    code: str = Field(examples=["low_resolution"])
    message: str = Field(
        examples=["The head is only 96 pixels long. Send the scan in its original size."]
    )


class SliceResult(BaseModel):
    """One image, or one slice of a volume."""

    index: int = Field(description="Its place in the volume, from 0; 0 for an image.", examples=[0])
    empty: bool = Field(
        default=False,
        description="Nothing but air: the model was not asked and `decision` is null.",
    )
    decision: Decision | None = None
    warnings: list[QualityWarning] = []
    heatmap: list[list[float]] | None = Field(
        default=None, description="With `map`: where the evidence lies, rows of values 0..1."
    )
    picture: str | None = Field(
        None,
        description="With `picture`: what the model saw, 224 × 224, a `data:` address of a PNG.",
    )
    overlay: str | None = Field(
        None,
        description="With `map` and `picture`: the heatmap in colour, transparent where it is 0, of the "
        "picture's size, a `data:` address of a PNG.",
    )


class StudyHead(BaseModel):
    """What a study is."""

    study: int = Field(description="Its number in this answer, from 0.", examples=[0])
    file: int = Field(description="Number of the file that it came from, from 0.", examples=[0])
    member: str | None = Field(default=None, description="Its path inside that file, an archive.")
    kind: StudyKind = Field(examples=["image"])
    plane: Plane | None = None
    spacing_mm: float | None = Field(default=None, description="From slice to slice.")
    length: int = Field(description="Number of slices; 1 for an image.", examples=[1])
    notes: list[QualityWarning] = Field(
        default=[], description="What was left out or assumed in reading it."
    )


class StudyResult(StudyHead):
    """One image or volume, and what the model says about it."""

    slices: list[SliceResult]


class Refusal(BaseModel):
    """A file, or a member of an archive, that is no scan."""

    file: int = Field(examples=[1])
    member: str | None = None
    error: ErrorDetail


class AnalysisReport(BaseModel):
    """The answer to any number of files."""

    results: list[StudyResult]
    refused: list[Refusal] = Field(
        description="Files that could not be read, each with its reason."
    )
    model: ModelVersion | None = Field(description="Null if there was nothing to ask it about.")
    thresholds: ThresholdValues | None
    latency_ms: Latency
    disclaimer: str = Field(examples=[DISCLAIMER])


class Health(BaseModel):
    """The front end itself is up."""

    status: Literal["ok"] = Field(examples=["ok"])


class ModelStatus(BaseModel):
    """The model behind the page."""

    name: str = Field(examples=["brain_tumor"])
    version: int = Field(description="The version that answers now.", examples=[1])
    versions: dict[int, str] = Field(
        description="State of every version on the model server.", examples=[{"1": "AVAILABLE"}]
    )


class StudyEvent(StudyHead):
    """A study begins; its slices follow."""

    event: Literal["study"] = "study"


class RefusedEvent(Refusal):
    """A file, or a member of an archive, is no scan; the others go on."""

    event: Literal["refused"] = "refused"


class ModelEvent(BaseModel):
    """Which model answers; comes once, before the first slice, unless all slices are empty."""

    event: Literal["model"] = "model"
    model: ModelVersion
    thresholds: ThresholdValues
    disclaimer: str = DISCLAIMER


class SliceEvent(BaseModel):
    """A slice of a study is answered."""

    event: Literal["slice"] = "slice"
    study: int
    slice: SliceResult


class FailedEvent(BaseModel):
    """No more answers: the model server failed. The last event, in place of `end`."""

    event: Literal["failed"] = "failed"
    error: ErrorDetail


class EndEvent(BaseModel):
    """All is answered. The last event."""

    event: Literal["end"] = "end"
    latency_ms: Latency


Event = Annotated[
    StudyEvent | RefusedEvent | ModelEvent | SliceEvent | FailedEvent | EndEvent,
    Field(discriminator="event"),
]
