"""The running front ends of tests/ui, and the local server of tests/conftest.py."""

from tests.ui.conftest import (  # noqa: F401
    _front_end,
    _model_server,
    _no_telemetry,
    front_end,
    model_server,
    run_front_end,
)
