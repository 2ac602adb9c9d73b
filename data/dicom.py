"""DICOM series: files of one stack come together, in the order in which they lie in the head."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.dicom_header import Frame, Header, RefusedSeries, read_header
from data.dicom_pixels import FrameReader
from data.imaging import ScanError
from data.planes import View, view_of
from data.studies import Note, RefusedFile, ScanSlice, Study, StudyKind
from data.volume import as_image, as_still, as_volume, check_slices
from data.window import Mapping, choose_mapping, sampled

#: Frames whose headers are kept, a kilobyte each, while files are collected: sixteen volumes.
MAX_FRAMES_AT_ONCE: Final = 8192
#: Pixels of each frame of which the window of a stack is taken.
_SAMPLED_PIXELS: Final = 2**16
#: Frames closer than this lie at one position, in millimetres.
_SAME_MM: Final = 0.01
#: A gap this many times the usual one is a slice that is missing.
_GAP: Final = 1.5


@dataclass(frozen=True)
class _Place:
    """Where a frame comes from.

    Attributes:
        file, member: as of a study.
        read: returns the file's bytes.
    """

    file: int
    member: str | None
    read: Callable[[], bytes]


@dataclass(frozen=True)
class _Slide:
    """One frame and its place."""

    place: _Place
    header: Header
    frame: Frame


class DicomSeries:
    """Collects files, then reads the studies that they make up.

    Headers stay in memory, pixels do not: of every file they are read when its slice is made, and one
    file at a time.
    """

    def __init__(self) -> None:
        self._stacks: dict[tuple[object, ...], list[_Slide]] = {}
        self._refused: set[tuple[object, ...]] = set()
        self._frames = 0

    def add(
        self, file: int, member: str | None, read: Callable[[], bytes], payload: bytes
    ) -> RefusedFile | None:
        """Take a file into its stack.

        Args:
            file: its number.
            member: its path inside an archive.
            read: returns its bytes, when its slice is made.
            payload: its bytes now.

        Returns:
            Why it was refused; None, too, for further files of a series that is refused as a whole.
        """
        try:
            header = read_header(payload)
        except RefusedSeries as error:
            if error.series in self._refused:
                return None
            if error.series:
                self._refused.add(error.series)
            return RefusedFile(file=file, member=member, error=ScanError(error.code, str(error)))
        except ScanError as error:
            return RefusedFile(file=file, member=member, error=error)
        self._frames += len(header.frames)
        if self._frames > MAX_FRAMES_AT_ONCE:
            too_many = ScanError(
                "too_many_slices",
                f"These are more than {MAX_FRAMES_AT_ONCE} slices. Send fewer series at once.",
            )
            return RefusedFile(file=file, member=member, error=too_many)
        place = _Place(file, member, read)
        series = header.series or (file, member)
        for frame in header.frames:
            key = (*series, _direction_key(frame))
            self._stacks.setdefault(key, []).append(_Slide(place, header, frame))
        return None

    def studies(self) -> Iterator[Study | RefusedFile]:
        """Read each stack, in the order in which its first file came."""
        reader = FrameReader()
        while self._stacks:
            yield from _read_stack(self._stacks.pop(next(iter(self._stacks))), reader)


def _direction_key(frame: Frame) -> tuple[float, ...] | None:
    if frame.directions is None:
        return None
    return tuple(np.round(frame.directions, 2).ravel().tolist())


def _read_stack(found: list[_Slide], reader: FrameReader) -> Iterator[Study | RefusedFile]:
    first = min((one.place for one in found), key=lambda place: place.file)
    view = _view(found)
    slides, gaps, notes = _in_order(found, view)
    try:
        check_slices(len(slides), slides[0].header.rows, slides[0].header.columns)
    except ScanError as error:
        yield RefusedFile(file=first.file, member=first.member, error=error)
        return
    slices: tuple[ScanSlice, ...] = ()
    failed: dict[tuple[_Place, int], ScanError] = {}
    try:
        slices = _slices(slides, view, reader, failed)
    except ScanError as error:
        yield RefusedFile(file=first.file, member=first.member, error=error)
    for place, problem in {place: error for (place, _), error in failed.items()}.items():
        yield RefusedFile(file=place.file, member=place.member, error=problem)
    if not slices:
        return
    if failed or (len(gaps) and gaps.max() > _GAP * np.median(gaps)):
        notes.append(Note("missing_slices", "Slices are missing; what they show was not judged."))
    yield Study(
        kind=StudyKind.VOLUME if len(slides) > 1 else StudyKind.IMAGE,
        file=first.file,
        member=first.member,
        slices=slices,
        plane=view.plane if view else None,
        spacing_mm=round(float(np.median(gaps)), 4) if len(gaps) else slides[0].header.gap_mm,
        notes=tuple(notes),
    )


def _view(slides: list[_Slide]) -> View | None:
    directions = slides[0].frame.directions
    return None if directions is None else view_of(*directions)


def _in_order(
    found: list[_Slide], view: View | None
) -> tuple[list[_Slide], NDArray[np.float64], list[Note]]:
    """One slide for each position, in order, the gaps between them, and what was left out."""
    slides = sorted(found, key=lambda one: (one.header.number, one.place.file, one.frame.index))
    positions = [one.frame.position for one in slides if one.frame.position is not None]
    if view is None or len(positions) < len(slides):
        return slides, np.empty(0), []
    heights = np.array([view.normal @ position for position in positions])
    # Stable: of several volumes the first one's slide comes first at each position.
    order = np.argsort(np.round(heights / _SAME_MM), kind="stable")
    gaps = np.diff(heights[order])
    kept = np.concatenate([[True], gaps > _SAME_MM])
    notes = []
    if not kept.all():
        notes.append(
            Note("first_volume", "The series holds several volumes; only the first was read.")
        )
    return [slides[i] for i in order[kept]], np.diff(heights[order[kept]]), notes


def _slices(
    slides: list[_Slide],
    view: View | None,
    reader: FrameReader,
    failed: dict[tuple[_Place, int], ScanError],
) -> tuple[ScanSlice, ...]:
    """What can be read of a stack; what cannot is entered in `failed`, by its place and frame."""

    def pixels(slide: _Slide) -> NDArray | None:
        key = slide.place, slide.frame.index
        if key not in failed:  # what fails once may fail slowly, too
            try:
                return reader.frame(slide.place.read, slide.frame, slide.header.padding)
            except ScanError as error:
                failed[key] = error
        return None

    mapping = _mapping(slides, pixels)

    def images() -> Iterator[Image.Image]:
        for slide in slides:
            if (values := pixels(slide)) is not None:
                yield _image(slide, values, mapping, view)

    if len(slides) == 1:
        return tuple(as_still(image) for image in images())
    return as_volume(images())


def _mapping(slides: list[_Slide], pixels: Callable[[_Slide], NDArray | None]) -> Mapping | None:
    """One way to grey levels for the whole stack; None for colours, which have theirs."""
    samples = [values for i in sampled(len(slides)) if (values := pixels(slides[i])) is not None]
    if not samples:  # damaged ones; any other will do
        rest = (pixels(slide) for slide in slides)
        samples = [values for values in rest if values is not None][:1]
    if not samples or samples[0].ndim > 2:
        return None
    few = [one.ravel()[:: max(1, one.size // _SAMPLED_PIXELS)] for one in samples]
    stated = [one.frame.mapping for one in slides if one.frame.mapping is not None]
    return choose_mapping(stated if len(stated) == len(slides) else [], np.concatenate(few))


def _image(
    slide: _Slide, values: NDArray, mapping: Mapping | None, view: View | None
) -> Image.Image:
    levels = values
    if values.ndim == 2:
        assert mapping is not None  # noqa: S101 some sample was grey, and stacks are of one kind
        levels = mapping.levels(values)
        if slide.header.inverted:
            levels = np.where(np.isfinite(values), 255 - levels, 0).astype(np.uint8)
    rows_mm, columns_mm = slide.frame.spacing
    if view is not None:
        levels = view.show(levels)
        if view.transposed:
            rows_mm, columns_mm = columns_mm, rows_mm
    return as_image(levels, (rows_mm, columns_mm))
