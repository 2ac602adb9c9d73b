"""Settings from environment variables, for every room: those that no program knows are refused.

`config=environment("SERVING_", lambda: app)` makes a flag of any command also a variable, and a misspelt
variable an error instead of a silence.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Final

import cyclopts
from cyclopts.argument import ArgumentCollection

#: What Kubernetes sets in every pod for each Service, after its name; `SERVING_SERVICE_HOST`, if one is
#: called `serving`.
_OF_A_SERVICE: Final = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
#: `SERVING_PORT=tcp://10.0.0.1:8500` is of that kind too, though a setting has its name.
_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")


class Environment(cyclopts.config.Env):
    """Cyclopts' `Env`, which refuses variables of its prefix that are no setting of any command."""

    def __init__(self, prefix: str, root: Callable[[], cyclopts.App], *, command: bool) -> None:
        super().__init__(prefix, command=command)
        self._root = root

    def __call__(
        self, app: cyclopts.App, commands: tuple[str, ...], arguments: ArgumentCollection
    ) -> None:
        """Fill in arguments that the command line does not give.

        Raises:
            CycloptsError: there are unknown variables; the message names them.
        """
        ours = {
            name
            for name, value in os.environ.items()
            if name.startswith(self.prefix) and not self._of_kubernetes(name, value)
        }
        if ours and (unknown := ours - set(self._known(self._root(), ()))):
            names = ", ".join(sorted(unknown))
            raise cyclopts.CycloptsError(f"Unknown environment variable: {names}. See --help.")
        super().__call__(app, commands, arguments)
        for argument in arguments:
            argument.tokens[:] = [
                token
                for token in argument.tokens
                if token.source != self.source or token.keyword in ours
            ]

    def _of_kubernetes(self, name: str, value: str) -> bool:
        rest = name.removeprefix(self.prefix)
        if rest.endswith("PORT") and _ADDRESS.match(value):
            return True
        return _OF_A_SERVICE.fullmatch(rest) is not None

    def _known(self, app: cyclopts.App, path: tuple[str, ...]) -> Iterator[str]:
        """Variables of a command and of those below it."""
        if app.default_command:
            words = [word.upper() for word in path] if self.command else []
            for argument in app.assemble_argument_collection():
                for name in (*argument.names, *argument.negatives):
                    spelt = name.lstrip("-").upper().replace("-", "_").replace(".", "_")
                    yield self.prefix + "_".join([*words, spelt])
        for name in app:
            if not name.startswith("-"):
                yield from self._known(app[name], (*path, name))


def environment(
    prefix: str, root: Callable[[], cyclopts.App], *, command: bool = False
) -> Environment:
    """Where a command line looks for settings that no flag gives.

    Args:
        prefix: of the variables, `SERVING_` for example.
        root: the program's app, which is made after this.
        command: put the command's name into the variable's: TRAINING_TRAIN_SEED.
    """
    return Environment(prefix, root, command=command)
