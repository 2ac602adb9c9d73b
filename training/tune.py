"""Search over the settings of a recipe, by the validation loss of short trainings.

    python -m training tune --data prepared --out runs/tune

The loss weighs classes and sources as training does, and no group of the training split is in it. The
search is Optuna's tree-structured Parzen estimator over `SPACE`; an interrupted one goes on by the same
command, but for the trial that was cut off.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.distributions import FloatDistribution
from rich import box
from rich.console import Console
from rich.table import Table

from training.checkpoint import write_whole
from training.errors import RunError
from training.settings import TrainSettings, TuneSettings
from training.train import lowest_loss, train

#: What is searched: settings of `python -m training train` and their ranges.
SPACE: Final[dict[str, FloatDistribution]] = {
    "learning_rate": FloatDistribution(2e-4, 4e-3, log=True),
    "weight_decay": FloatDistribution(1e-3, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.5, step=0.1),
    "frozen": FloatDistribution(0.0, 0.8, step=0.2),
    "lesions": FloatDistribution(0.0, 0.6, step=0.2),
    "outline_weight": FloatDistribution(0.0, 1.0, step=0.25),
}
DATABASE: Final = "tune.db"
RESULT: Final = "tune.json"


def tune(settings: TuneSettings, console: Console) -> dict[str, Any]:
    """Run the trials that are still missing.

    Returns:
        What `tune.json` in the folder holds: the space, every trial with its loss, the best one and the
        flags that train with it.

    Raises:
        RunError: no trial came to an end.
    """
    settings.out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=settings.recipe,
        storage=f"sqlite:///{(settings.out / DATABASE).resolve()}",
        load_if_exists=True,
    )
    # Started anew with one seed, the sampler would propose the same settings again.
    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + len(study.trials))

    def objective(trial: optuna.Trial) -> float:
        chosen: dict[str, Any] = {
            name: trial.suggest_float(name, of.low, of.high, step=of.step, log=of.log)
            for name, of in SPACE.items()
        }
        console.rule(f"Trial {trial.number + 1}")
        run = settings.out / f"{settings.recipe}-{trial.number + 1}"
        train(replace(_shortened(settings, run), **chosen), console)
        return lowest_loss(run)

    def record(*_: object) -> None:
        if _finished(study):
            _record(study, settings)

    missing = settings.trials - len(_finished(study))
    if missing > 0:
        study.optimize(objective, n_trials=missing, callbacks=[record])
    if not _finished(study):
        raise RunError(f"No trial in {settings.out} came to an end. Run the same command again.")
    result = _record(study, settings)
    console.print(_table(study))
    console.print(f"Train with it: python -m training train {result['flags']}")
    return result


def _shortened(settings: TuneSettings, run: Path) -> TrainSettings:
    return TrainSettings(
        data=settings.data,
        run=run,
        recipe=settings.recipe,
        head_epochs=1,
        epochs=settings.epochs,
        full_size_epochs=0,
        views_per_epoch=settings.views_per_epoch,
        seed=settings.seed,
    )


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))


def _record(study: optuna.Study, settings: TuneSettings) -> dict[str, Any]:
    best = study.best_trial
    flags = [f"--{name.replace('_', '-')} {value:.4g}" for name, value in best.params.items()]
    result = {
        "recipe": settings.recipe,
        "space": {name: str(of) for name, of in SPACE.items()},
        "trials": [{"loss": one.value, **one.params} for one in _finished(study)],
        "best": {"loss": best.value, **best.params},
        "flags": " ".join([f"--recipe {settings.recipe}", *flags]),
    }
    write_whole(settings.out / RESULT, json.dumps(result, indent=2) + "\n")
    return result


def _table(study: optuna.Study) -> Table:
    table = Table("validation loss", *SPACE, box=box.SIMPLE_HEAD)
    for one in sorted(_finished(study), key=lambda trial: trial.value or 0.0):
        table.add_row(f"{one.value:.4f}", *(f"{one.params[name]:.3g}" for name in SPACE))
    return table
