"""What holds of every ZIP archive: nothing escapes, nothing grows past its bounds."""

import io
import zipfile
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from data.archive import MAX_RATIO, RATIO_FREE_BYTES, read_archive
from data.imaging import ScanError
from tests.properties.bounds import bounded

NAMES = (
    st.text(st.characters(codec="utf-8"), max_size=30)
    | st.lists(
        st.sampled_from(["..", ".", "", "a", "C:", "\\", "b.png"]), min_size=1, max_size=6
    ).map("/".join)
).filter(lambda name: name.partition("\0")[0])  # of which zipfile writes no more


@bounded(100)
@given(st.dictionaries(NAMES, st.binary(max_size=100), min_size=1, max_size=5))
def test_members_are_whole_and_their_paths_lead_nowhere(members: dict[str, bytes]) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    try:
        found = list(read_archive(file.getvalue()))
    except ScanError as error:
        assert error.code in ("empty_archive", "unsupported_format")  # noqa: PT017
        return
    for member in found:
        path = PurePosixPath(member.path)
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert member.path.isprintable()
        assert len(member.path) <= 255
        assert member.read() in members.values()


@bounded(25)
@given(st.integers(1, 3 * RATIO_FREE_BYTES), st.integers(0, 255))
def test_what_unpacks_to_far_more_is_refused_unread(size: int, level: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nii", bytes([level]) * size)
        packed = archive.infolist()[0].compress_size
    (member,) = read_archive(file.getvalue())
    if size > max(RATIO_FREE_BYTES, MAX_RATIO * packed):
        assert member.error is not None
        assert member.error.code == "compression_ratio"
    else:
        assert len(member.read()) == size
