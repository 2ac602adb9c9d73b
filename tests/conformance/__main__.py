"""Write versions 1 and 2 of the recorded model: `python -m tests.conformance DIRECTORY`."""

import sys
from pathlib import Path

from tests.conformance.recorded_model import BIASES, write_version

for version, bias in BIASES.items():
    write_version(Path(sys.argv[1]) / str(version), bias)
