"""The commands as an operator sees them: tables, JSON, exit codes, one line for what went wrong."""

import json

import pytest

from serving.__main__ import app
from serving.release.commands import console


@pytest.fixture
def run(capsys, monkeypatch):
    """`run("versions", …)`: exit code, and what was printed."""
    monkeypatch.setattr(console, "width", 120)

    def call(*arguments: object) -> tuple[int, str]:
        code = app([str(argument) for argument in arguments], result_action="return_value")
        return code or 0, capsys.readouterr().out

    return call


CARD = {
    "created": "2026-11-23T22:54:12+00:00",
    "git_commit": "abc123abc123",
    "metrics": {"test": {"auc": {"value": 0.9389}}},
}


def test_versions_shows_state_labels_card_and_digest(run, base, store):
    (store.path(1) / "SHA256SUMS").unlink()
    (store.path(1) / "model_card.json").write_text(json.dumps(CARD))
    (store.path(3) / "model_card.json").write_text("[]")  # damage, and no card
    run("label", base, "stable", 2)
    with store.exclusive():
        store.withdraw(1)
    code, text = run("versions", base)
    assert code == 0
    header, _, *rows = [line.split() for line in text.splitlines() if line.strip()]
    assert header == ["version", "place", "labels", "made", "AUC", "commit", "MB", "files"]
    assert rows[0][:8] == ["3", "on", "disk", "–", "–", "–", "–", "0.0"]
    assert " ".join(rows[0][8:]) == "DAMAGED: model_card.json is not listed"
    assert rows[1][:4] == ["2", "on", "disk", "stable"]
    assert rows[1][8] == "whole"
    assert rows[2] == [
        "1",
        "withdrawn",
        "–",
        "2026-11-23",
        "0.939",
        "abc123abc123",
        "0.0",
        "no",
        "digest",
    ]
    code, text = run("versions", base, "--json")
    newest, labelled, withdrawn = json.loads(text)
    assert (newest["version"], newest["whole"]) == (3, False)
    assert newest["problems"] == ["model_card.json is not listed"]
    assert (labelled["labels"], labelled["pinned"], labelled["whole"]) == (["stable"], True, True)
    assert (withdrawn["place"], withdrawn["whole"], withdrawn["digest"]) == (
        "withdrawn",
        None,
        None,
    )
    assert (withdrawn["auc"], withdrawn["git_commit"]) == (0.9389, "abc123abc123")


def test_versions_of_an_empty_base_path(run, tmp_path):
    assert run("versions", tmp_path) == (0, f"There is no version in {tmp_path} yet.\n")


def test_verify_tells_each_version_and_fails_for_one_that_is_damaged(run, base, store):
    code, text = run("verify", base)
    assert code == 0
    assert [line.split(":")[1].split()[0] for line in text.splitlines()] == ["whole"] * 3
    (store.path(2) / "saved_model.pb").unlink()
    (store.path(2) / "saved_model.pb").write_text("other")
    code, text = run("verify", base)
    assert code == 1
    assert "2: DAMAGED: saved_model.pb has changed" in text
    assert run("verify", base, 1, 3)[0] == 0
    code, text = run("verify", base, 2, "--json")
    assert (code, json.loads(text)[0]["problems"]) == (1, ["saved_model.pb has changed"])


def test_verify_says_of_the_shipped_versions_whether_they_can_be_verified(run, models):
    code, text = run("verify", models)
    lines = text.splitlines()
    assert lines
    for line in lines:
        unverifiable = line.endswith(
            "no SHA256SUMS: published without a digest, cannot be verified"
        )
        assert unverifiable or ": whole (" in line
    assert code == int(any("cannot be verified" in line for line in lines))


def test_rollback_tells_how_to_undo_it(run, base):
    code, text = run("rollback", base)
    assert code == 0
    assert text == (
        "Version 2 serves from the servers' next poll. Withdrawn: 3. "
        f"Undo: python -m serving restore {base} 3\n"
    )
    assert run("restore", base, 3) == (0, f"{base / '3'} is back.\n")
    assert json.loads(run("rollback", base, "--json")[1]) == {"version": 2, "withdrawn": [3]}


def test_label_tells_what_servers_load_and_whom_others_get(run, base):
    run("label", base, "stable", 1)
    config = base / "models.config"
    assert run("label", base, "canary", 3)[1] == (
        f"{config}: canary is 3, stable is 1; servers load 1, 3. Clients that name none get 3.\n"
    )
    run("label", base, "canary", "--remove")
    assert run("label", base, "stable", "--remove")[1] == (
        f"{config}: no labels; servers load the newest version. The newest is 3.\n"
    )


def test_the_config_can_be_elsewhere_and_name_the_path_that_the_server_sees(run, base, tmp_path):
    config = tmp_path / "shared.config"
    run("label", base, "stable", 1, "--config", config, "--served-base-path", "/models/brain_tumor")
    assert 'base_path: "/models/brain_tumor"' in config.read_text()
    assert not (base / "models.config").exists()
    text = run("versions", base, "--config", config, "--json")[1]
    assert json.loads(text)[2]["labels"] == ["stable"]
    # The other command does not know of the config, so the newest directory is what serves.
    assert json.loads(run("rollback", base, "--json")[1])["withdrawn"] == [3]


def test_prune_tells_what_it_spared(run, base):
    run("label", base, "stable", 1)
    assert run("prune", base, "--keep", 1, "--dry-run")[1] == (
        "Would delete: 2. Kept, since they are in use: 1.\n"
    )
    assert json.loads(run("prune", base, "--keep", 1, "--json")[1])["deleted"] == [2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("versions", "{}/absent"), "absent is not a folder. Name the one that holds the version"),
        (("verify", "{}", "9"), "There is no version 9 in"),
        (("label", "{}", "stable"), "Give a version for the label, or --remove."),
        (("label", "{}", "stable", "1", "--remove"), "Give a version for the label, or --remove."),
        (("rollback", "{}", "--server", "nowhere"), "'nowhere' is no address of a model server"),
        (("prune", "{}", "--keep", "1", "--server", "127.0.0.1:1"), "No model server answers at"),
    ],
)
def test_what_went_wrong_is_one_line(command, base, arguments, told):
    done = command(*(argument.format(base) for argument in arguments))
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert told in line
    assert sorted(entry.name for entry in base.iterdir() if entry.is_dir()) == [
        ".versions",
        "1",
        "2",
        "3",
    ]
