"""`models.config`: which versions a server loads, and the labels by which clients ask for them.

TensorFlow Serving reads the file when it starts and, with --model_config_file_poll_wait_seconds, again
and again. It takes the labels of a changed file before it loads what the file asks for, and refuses the
whole file if a label is to move to a version that is not AVAILABLE yet. So a move takes two files, one
that loads the version and one that moves the label: `Entry.towards`.

A label's first assignment needs --allow_version_labels_for_unavailable_models=true, which a server that
starts with labels in its file needs anyway.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.release.disk import lock, write_atomically
from serving.versions import VersionError

#: In the base path unless another is named, so that labels are found where the versions are.
DEFAULT_NAME: Final = "models.config"
_HEAD: Final = """\
# Written by `python -m serving label` and `rollback`; comments are not kept.
# tensorflow_model_server --model_config_file=… --model_config_file_poll_wait_seconds=1
#   --allow_version_labels_for_unavailable_models=true
"""


@dataclass(frozen=True)
class Entry:
    """What the file says about one model.

    Attributes:
        labels: version by label.
        pinned: the versions to load, whatever else is there; None leaves it to the server, which
            takes the newest.
    """

    labels: dict[str, int]
    pinned: frozenset[int] | None = None

    def labelled(self, labels: dict[str, int]) -> "Entry":
        """The entry with other labels: it loads what they name, and what somebody pinned by hand."""
        by_hand = (self.pinned or frozenset()) - frozenset(self.labels.values())
        return Entry(labels, (by_hand | frozenset(labels.values())) or None)

    def towards(self, goal: "Entry") -> "Entry":
        """The next entry on the way to another one that a running server accepts.

        That is the goal itself, or today's labels with the versions that they shall move to loaded
        beside the others, to be followed by the goal once those are AVAILABLE.
        """
        pinned = self.pinned or frozenset()
        moved = {v for name, v in goal.labels.items() if self.labels.get(name, v) != v}
        if moved <= pinned:
            return goal
        return Entry(self.labels, pinned | moved | frozenset(self.labels.values()))


class ConfigFile:
    """One model's entry in a `models.config`, which may hold those of other models too."""

    def __init__(self, path: Path, model: str, base: Path) -> None:
        """Name the entry; nothing is read yet.

        Args:
            path: of the file; it need not exist.
            model: the model's name on the server.
            base: its base path as the server sees it, for a new entry.
        """
        self.path, self._model, self._base = path, model, base

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep others from changing the file, also on behalf of other models."""
        with lock(self.path.with_name(f".{self.path.name}.lock")):
            yield

    def read(self) -> Entry:
        """The entry; without one, no labels and nothing pinned.

        Raises:
            VersionError: the file is not a `model_config_list` in text format.
        """
        found = self._find(self._parse())
        if found is None:
            return Entry({})
        specific = found.model_version_policy.WhichOneof("policy_choice") == "specific"
        pinned = frozenset(found.model_version_policy.specific.versions)
        return Entry(dict(found.version_labels), pinned if specific else None)

    def write(self, entry: Entry) -> None:
        """Replace the entry, atomically; the caller is `exclusive`."""
        config = self._parse()
        found = self._find(config)
        if found is None:
            found = config.model_config_list.config.add(
                name=self._model, base_path=str(self._base), model_platform="tensorflow"
            )
        found.version_labels.clear()
        found.version_labels.update(entry.labels)
        if entry.pinned:
            found.model_version_policy.specific.versions[:] = sorted(entry.pinned)
        elif found.model_version_policy.WhichOneof("policy_choice") == "specific":
            found.ClearField("model_version_policy")
        write_atomically(self.path, _HEAD + text_format.MessageToString(config))

    def _parse(self) -> model_server_config_pb2.ModelServerConfig:
        config = model_server_config_pb2.ModelServerConfig()
        try:
            text_format.Parse(self.path.read_text(encoding="utf-8"), config)
        except FileNotFoundError:
            return config
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise VersionError(f"{self.path} is no model config in text format: {error}") from error
        if config.WhichOneof("config") == "custom_model_config":
            raise VersionError(
                f"{self.path} holds a custom_model_config; that is not for us to change."
            )
        return config

    def _find(
        self, config: model_server_config_pb2.ModelServerConfig
    ) -> model_server_config_pb2.ModelConfig | None:
        entries = config.model_config_list.config
        return next((entry for entry in entries if entry.name == self._model), None)
