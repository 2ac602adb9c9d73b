"""What a user of the training programs can mend; the message says how."""


class TrainingError(Exception):
    """The root of this room's errors."""


class RunError(TrainingError):
    """A run's folder belongs to a training with other settings or data, or holds no finished run."""


class ExportError(TrainingError):
    """The version was not published: its dataset or its graph is not that of the training."""


class EvaluationError(TrainingError):
    """There is no such version, or nothing to measure it on."""


class CalibrationError(TrainingError):
    """The validation split is too small to calibrate by, or the network is worth nothing on it."""
