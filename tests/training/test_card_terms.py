"""The card speaks of the sources that are there, and owns up to what it does not know of them."""

import csv
import shlex
from dataclasses import replace
from types import SimpleNamespace

import pytest

from data.labels import Label
from data.manifest import Scan, Split
from data.public_sets import PUBLIC_SETS
from tests.conftest import ROOT
from training.__main__ import app
from training.bootstrap import Figure
from training.card_terms import describe_sources, licence, limits, showable
from training.model_card import reproduce
from training.network import CNN, LITE0
from training.refusals import RefusalReport, Refusals

SCAN = Scan(
    path="a.png",
    label=Label.TUMOR,
    source="cheng",
    split=Split.TRAIN,
    group="g",
    sha256="0" * 64,
    origin="a.png",
)


def refused(**shares: float) -> RefusalReport:
    rows = {
        family: Refusals(
            n=10, originals=2, on_decoding=0, refused=Figure(value=share, low=share, high=share)
        )
        for family, share in shares.items()
    }
    first = next(iter(rows.values()))
    return RefusalReport(all=first, not_drawn=first, families=rows, families_left_out=[])


def sources(**splits: Split):
    return describe_sources(
        [replace(SCAN, source=name, split=split) for name, split in splits.items()], left_out=[]
    )


def test_a_source_that_nobody_described_has_unknown_terms():
    found = sources(cheng=Split.TRAIN, clinic=Split.TRAIN)
    assert found["cheng"]["licence"] == "CC BY 4.0"
    assert found["clinic"]["licence"] == "terms unknown to us"
    text = licence(found, LITE0)
    assert "research only, since the terms of clinic are unknown" in text
    assert "attribution (cheng)" in text
    assert "non-commercial" not in text
    assert "figshare" not in text


def test_only_what_was_learnt_from_binds_the_weights():
    free = licence(sources(cheng=Split.TRAIN, tcga_lgg=Split.TEST), CNN)
    assert "non-commercial" not in free
    assert "ImageNet" not in free
    bound = licence(sources(cheng=Split.TRAIN, tcga_lgg=Split.VAL), LITE0)
    assert "non-commercial use (tcga_lgg)" in bound
    assert "ImageNet weights: Apache-2.0" in bound
    scans = [replace(SCAN, source=name) for name in ("cheng", "tcga_lgg")]
    assert "non-commercial" not in licence(describe_sources(scans, left_out=["tcga_lgg"]), LITE0)


def test_our_samples_are_known_by_content_whatever_their_source_is_called():
    with (ROOT / "data" / "samples" / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("no/ixi")]
    scans = [replace(SCAN, source="mine", sha256=row["sha256"]) for row in rows]
    found = describe_sources(scans, left_out=[])["mine"]
    assert found["licence"] == "CC-BY-SA-3.0"
    assert "samples" in found["title"]
    other = describe_sources([*scans, replace(SCAN, source="mine")], left_out=[])["mine"]
    assert other["licence"] == "terms unknown to us"


def test_only_scans_whose_terms_allow_it_are_shown():
    assert {name for name in PUBLIC_SETS if showable(name)} == {"cheng", "tcga_lgg"}
    assert "CC BY 4.0" in str(showable("cheng"))
    assert showable("clinic") is None


def test_limits_are_those_of_the_sources_and_of_what_was_measured():
    found = sources(cheng=Split.TRAIN, clinic=Split.TEST)
    text = "\n".join(limits(found, refused(photo=1.0, ct_head=0.5, mri_body=0.9, face=0.95)))
    assert "cheng: tumours only" in text
    assert "clinic: what it holds" in text
    assert "sartaj" not in text
    assert "internal" not in text, "the test split holds no source that was learnt from"
    assert "ct head (0.500" in text
    assert "mri body (0.900" in text
    assert "face" not in text
    assert "internal for cheng" in "\n".join(
        limits(
            describe_sources([SCAN, replace(SCAN, split=Split.TEST)], left_out=[]),
            refused(photo=1.0),
        )
    )


@pytest.mark.parametrize("measured", [True, False])
def test_the_commands_hold_the_flags_of_the_table(measured):
    left_out = {
        "rows": [{"source": "nav"}, {"source": "nav+sartaj"}],
        "settings": {"views_per_epoch": 2500, "full_size_epochs": 0},
    }
    appraisal = SimpleNamespace(
        leave_one_source_out=left_out if measured else None, localisation=None
    )
    lines = [line for line in reproduce({"seed": 7}, {}, appraisal) if " loso " in line]
    assert len(lines) == measured
    for line in lines:
        words = shlex.split(line)[3:]
        _, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
        asked = bound.arguments["settings"]
        assert asked.sources == ["nav", "nav+sartaj"]
        assert (asked.views_per_epoch, asked.epochs, asked.full_size_epochs) == (2500, None, 0)
