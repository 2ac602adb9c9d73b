"""The page answers as the SavedModel does; for the other surfaces see tests/test_same_answer.py."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.scans import DROP_ZONE
from tests.browser.test_many import downloaded, heading
from tests.conftest import RunningServer
from tests.test_same_answer import TOLERANCE, from_saved_model, golden  # noqa: F401
from tests.ui.front_end import running_front_end

pytestmark = pytest.mark.browser


def test_the_page_gives_the_same_answers(
    local_server: RunningServer,
    golden: list[Path],  # noqa: F811
    from_saved_model: np.ndarray,  # noqa: F811
    free_port: Callable[[], int],
    tmp_path: Path,
    open_page: Callable[..., Page],
) -> None:
    log = tmp_path / "log.txt"
    with running_front_end(free_port(), log, "--server", local_server.grpc) as front_end:
        page = open_page(front_end)
        page.locator(DROP_ZONE).set_input_files(golden)
        expect(heading(page)).to_have_text(f"{len(golden)} scans read")
        report = json.loads(downloaded(page, "Download JSON"))
    answered = {
        report["files"][study["file"]]: study["slices"][0]["decision"]["probability"]
        for study in report["results"]
    }
    expected = dict(zip((path.name for path in golden), from_saved_model, strict=True))
    assert answered == pytest.approx(expected, abs=TOLERANCE)
