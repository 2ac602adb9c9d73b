"""The commands on versions: `python -m serving publish`, `versions`, `rollback` and so on."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from serving.client import Client
from serving.release import follow
from serving.release import labels as label_files
from serving.release import prune as pruning
from serving.release import publish as publishing
from serving.release import rollback as rolling
from serving.release.digest import check
from serving.release.inventory import summarise, take_inventory
from serving.release.model_config import DEFAULT_NAME, ConfigFile, Entry
from serving.release.settings import (
    FollowSettings,
    LabelSettings,
    PruneSettings,
    PublishSettings,
    RollbackSettings,
    VersionSettings,
)
from serving.release.store import Store
from serving.release.text import entry_text, listed, print_table, published_text
from serving.versions import VersionError

_VERSIONS: Final = VersionSettings()
_FOLLOW: Final = FollowSettings()
_PUBLISH: Final = PublishSettings()
_LABEL: Final = LabelSettings()
_ROLLBACK: Final = RollbackSettings()
console = Console()


def publish(candidate: Path, base: Path, /, *, settings: PublishSettings = _PUBLISH) -> None:
    """Verify an exported model and make it the next version.

    ```
    python -m training export --run runs/first --data prepared --models candidates
    python -m serving publish candidates/1 models/brain_tumor
    ```

    The candidate is copied, and a scratch process loads the copy: signatures, answers to blank images,
    noise and sample scans, refusal of bad input, every warm-up record. Then one rename puts it in
    service. Killed at any moment it leaves nothing that a server would see; run it again.

    Args:
        candidate: Directory of one SavedModel; it stays as it is.
        base: Base path of the model; made if it does not exist.
        settings: See below.
    """
    entry = _config(base, settings).read()  # before: one that cannot be read is told in time
    done = publishing.publish(
        candidate,
        base,
        max_megabytes=settings.max_megabytes,
        verify_timeout_s=settings.verify_timeout_s,
    )
    follows = entry.pinned is None
    if settings.json:
        fields = {"version": done.version, "path": str(done.path), "digest": done.digest}
        _print_json(fields | {"bytes": done.bytes, "pinned_out": not follows} | done.examined)
    else:
        _print(published_text(done, summarise(done.path)))
        if not follows:
            _print(
                f"It does not serve yet: the model config pins {listed(entry.pinned or ())}. "
                f"Next: python -m serving label {base} canary {done.version}"
            )
    if follows:
        _wait(settings, done.version)


def versions(base: Path, /, *, settings: VersionSettings = _VERSIONS) -> None:
    """List the versions of a model, newest first: state, labels, card in brief, digest.

    ```
    python -m serving versions models/brain_tumor --server 127.0.0.1:8500
    ```

    Args:
        base: Base path of the model.
        settings: See below.
    """
    store = Store(base)
    with _client(settings) as client:
        states = client.status() if client else {}
    rows = take_inventory(store, _config(base, settings).read(), states)
    if settings.json:
        _print_json([row.as_json() for row in rows])
    elif not rows:
        _print(f"There is no version in {base} yet.")
    else:
        print_table(rows, console)


def verify(base: Path, /, *numbers: int, settings: VersionSettings = _VERSIONS) -> int:
    """Compare every file of versions with the digests written when they were published.

    ```
    python -m serving verify models/brain_tumor
    ```

    Exit code 1 if one is damaged, or was published without a digest and cannot be verified.

    Args:
        base: Base path of the model.
        numbers: Versions to check; by default all, those that were rolled back as well.
        settings: See below.
    """
    store = Store(base)
    paths = {version: store.withdrawn_path(version) for version in store.withdrawn()}
    paths |= {version: store.path(version) for version in store.versions()}
    unknown = set(numbers) - paths.keys()
    if unknown:
        raise VersionError(f"There is no version {min(unknown)} in {base}.")
    found = {version: check(paths[version]) for version in sorted(numbers or paths)}
    if settings.json:
        _print_json([{"version": version} | asdict(one) for version, one in found.items()])
    else:
        for version, one in found.items():
            digest = f" ({one.digest[:12]})" if one.digest else ""
            print(f"{paths[version]}: {one}{digest}")  # noqa: T201 (no wrapping: lines are grepped)
    return int(not all(one.is_whole for one in found.values()))


def label(
    base: Path, name: str, number: int | None = None, /, *, settings: LabelSettings = _LABEL
) -> None:
    """Let a label, such as stable or canary, name a version, in models.config.

    ```
    python -m serving label models/brain_tumor stable 2
    python -m serving label models/brain_tumor canary 3 --server 127.0.0.1:8500
    python -m serving label models/brain_tumor canary --remove
    ```

    From the first label on, servers load the labelled versions and no others: a new version waits for
    its label. Clients that name neither label nor version get the highest loaded, a canary for
    example. Servers need --model_config_file=BASE/models.config,
    --model_config_file_poll_wait_seconds=1 and --allow_version_labels_for_unavailable_models=true.

    Args:
        base: Base path of the model.
        name: The label.
        number: The version that it shall name.
        settings: See below.
    """
    store, config = Store(base), _config(base, settings, settings.served_base_path)
    if settings.remove == (number is not None):
        raise VersionError("Give a version for the label, or --remove.")
    if number is None:
        entry = label_files.remove_label(store, config, name)
    else:
        with _client(settings) as client:
            entry = label_files.set_label(
                store, config, name, number, client=client, timeout_s=settings.wait_s
            )
    text = entry_text(config, entry)
    if entry.pinned is None:
        text += f" The newest is {max(store.versions(), default='not there yet')}."
    _report(settings, {"config": str(config.path)} | _entry_json(entry), text)
    _wait(settings, number, labels={name: number})


def rollback(base: Path, /, *, settings: RollbackSettings = _ROLLBACK) -> None:
    """Go back to the next older version; servers follow with their next polls.

    ```
    python -m serving rollback models/brain_tumor --server 127.0.0.1:8500
    ```

    Newer versions are moved out of the servers' sight, to .versions/withdrawn, and `restore` brings them
    back. Where models.config pins versions, it is changed instead: labels of newer versions move to
    the older one. No file of a version is touched, and no number is used again.

    Args:
        base: Base path of the model.
        settings: See below.
    """
    store, config = Store(base), _config(base, settings)
    with _client(settings) as client:
        done = rolling.rollback(
            store, config, settings.to, client=client, timeout_s=settings.wait_s
        )
    text = f"Version {done.to} serves from the servers' next poll."
    if done.withdrawn:
        text += (
            f" Withdrawn: {listed(done.withdrawn)}. "
            f"Undo: python -m serving restore {base} {done.withdrawn[-1]}"
        )
    if done.entry:
        text += f" {entry_text(config, done.entry)}"
    fields = {"version": done.to, "withdrawn": list(done.withdrawn)}
    _report(settings, fields | (_entry_json(done.entry) if done.entry else {}), text)
    if done.entry is None:
        _wait(settings, done.to, gone=done.withdrawn)
    else:
        _wait(settings, done.to, labels=done.entry.labels, only=done.entry.pinned)


def restore(base: Path, number: int, /, *, settings: FollowSettings = _FOLLOW) -> None:
    """Undo a rollback: bring a withdrawn version back under its own number.

    ```
    python -m serving restore models/brain_tumor 3
    ```

    Args:
        base: Base path of the model.
        number: One that `versions` shows as withdrawn.
        settings: See below.
    """
    store = Store(base)
    rolling.restore(store, number)
    _report(settings, {"version": number}, f"{store.path(number)} is back.")
    if _config(base, settings).read().pinned is None and number == store.versions()[-1]:
        _wait(settings, number)


def prune(base: Path, /, *, settings: PruneSettings) -> None:
    """Delete old versions for good.

    ```
    python -m serving prune models/brain_tumor --keep 3 --server 127.0.0.1:8500
    ```

    The newest, those that a label names or models.config pins, and those that the server has loaded
    stay whatever their age. Their numbers are not given out again.

    Args:
        base: Base path of the model.
        settings: See below.
    """
    with _client(settings) as client:
        loaded = follow.loaded(client).keys() if client else frozenset[int]()
    done = pruning.prune(
        Store(base),
        _config(base, settings),
        keep=settings.keep,
        withdrawn=settings.withdrawn,
        loaded=loaded,
        dry_run=settings.dry_run,
    )
    verb = "Would delete" if settings.dry_run else "Deleted"
    text = f"{verb}: {listed(done.deleted) or 'nothing'}."
    if done.withdrawn_deleted:
        text += f" {verb} of those rolled back: {listed(done.withdrawn_deleted)}."
    if done.spared:
        text += f" Kept, since they are in use: {listed(done.spared)}."
    _report(settings, asdict(done) | {"dry_run": settings.dry_run}, text)


def _config(base: Path, settings: VersionSettings, served: Path | None = None) -> ConfigFile:
    path = settings.config or base / DEFAULT_NAME
    return ConfigFile(path, settings.model, served or base.absolute())


@contextmanager
def _client(settings: VersionSettings) -> Iterator[Client | None]:
    if settings.server is None:
        yield None
        return
    with Client(
        settings.server, model=settings.model, ca_certificate=settings.ca_certificate
    ) as client:
        yield client


def _wait(
    settings: FollowSettings,
    version: int | None,
    *,
    gone: tuple[int, ...] = (),
    labels: Mapping[str, int | None] | None = None,
    only: frozenset[int] | None = None,
) -> None:
    """Wait until the server, if one was named, has followed.

    Args:
        settings: name the server, and how long.
        version: serves then, unless None.
        gone: versions that serve no more.
        labels: with what each names; None for a label that is no more.
        only: if given, no other versions than these serve.
    """
    with _client(settings) as client:
        if client is None:
            return
        if version is not None:
            follow.wait_until_served(client, version, settings.wait_s)
        follow.wait_until_labelled(client, labels or {}, settings.wait_s)
        for one in gone:
            follow.wait_until_gone(client, one, settings.wait_s)
        if only is not None:
            follow.wait_until_only(client, only, settings.wait_s)
    if version is not None and not settings.json:
        _print(f"{settings.server} serves version {version}.")


def _report(settings: VersionSettings, fields: dict[str, Any], text: str) -> None:
    if settings.json:
        _print_json(fields)
    else:
        _print(text)


def _print(text: str) -> None:
    console.print(escape(text), soft_wrap=True, highlight=False)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))  # noqa: T201


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {"labels": entry.labels, "pinned": sorted(entry.pinned or ())}
