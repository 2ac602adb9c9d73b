"""How hard properties are tried: as many examples as a property is worth, the same ones in every run."""

from collections.abc import Callable

from hypothesis import HealthCheck, settings


def bounded(examples: int) -> Callable:
    """So many examples, derandomised and without a deadline, since machines are busy.

    Hypothesis's own files stay out of the repository: nothing is remembered from one run to the next.
    """
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
