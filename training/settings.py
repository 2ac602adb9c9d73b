"""Settings of the training programs: flags and environment variables (`TRAINING_…`) of the same name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

_Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
_CountOrZero = Annotated[int, Parameter(validator=validators.Number(gte=0))]
_Side = Annotated[int, Parameter(validator=validators.Number(gte=32, lte=224))]
_Rate = Annotated[float, Parameter(validator=validators.Number(gt=0))]
_NotNegative = Annotated[float, Parameter(validator=validators.Number(gte=0))]
_Share = Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))]
#: At 1, nothing would be learnt.
_ShareBelowOne = Annotated[float, Parameter(validator=validators.Number(gte=0, lt=1))]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """Which dataset, and how its scans are judged."""

    data: Path
    """Dataset written by `python -m data prepare`; the list and the features are kept in it."""

    folds: Annotated[int, Parameter(validator=validators.Number(gte=2))] = 5
    """Parts of the cross-validation."""

    repeats: _Count = 4
    """Divisions into parts that are averaged: a single one makes the list depend on chance."""

    seed: _CountOrZero = 2024
    """Of the division into parts."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What one training run depends on; written to `settings.json` in its folder."""

    data: Path
    """Dataset written by `python -m data prepare`."""

    run: Path
    """Folder of this run: checkpoints, TensorBoard, trained weights. An unfinished run is resumed."""

    recipe: Literal["finetune", "scratch"] = "finetune"
    """`finetune` starts a backbone from ImageNet, head first; `scratch` trains a small CNN from random
    weights, for `--epochs`."""

    backbone: Literal["efficientnet_lite0", "mobilenet_v2", "resnet50_v2"] = "efficientnet_lite0"
    """EfficientNet-Lite0 ships with the repository; for the others Keras downloads ImageNet weights."""

    head_epochs: _CountOrZero = 1
    """Epochs of the head alone, backbone frozen."""

    epochs: _CountOrZero = 18
    """Epochs of the whole network at `--image-size`."""

    full_size_epochs: _CountOrZero = 3
    """Epochs at `--full-size` at the end; with 0, the network is judged and served at `--image-size`."""

    image_size: _Side = 160
    """Side in pixels during the first two stages: half the cost of 224."""

    full_size: _Side = 192
    """Side in pixels at the end, and as served. Heads are cropped out of the 224 pixels that are sent, so
    that more would mostly be interpolated: 192 costs a quarter less."""

    views_per_epoch: _Count = 4000
    """Random views drawn in an epoch, both classes alike, sources by the root of their size."""

    lesions: _Share = 0.4
    """Share of the positive views that are normal scans with a drawn lesion."""

    decoys: _Share = 0.3
    """Share of the negative views that are given what is no tumour: spots, shading, a bulge."""

    styles: _Share = 0.3
    """Share of the views that are given the grey levels of another scan."""

    jpeg: _Share = 0.3
    """Share of the views that are compressed as JPEG."""

    reformats: _Share = 0.2
    """Share of the views that are sagittal or coronal cuts through a volume, where the dataset has
    volumes, slice by slice, with outlines."""

    outline_weight: _NotNegative = 0.5
    """Weight of the loss on local evidence where a tumour's outline is known, beside the label's; 0 for
    none."""

    pooling: Literal["log_mean_exp", "mean"] = "log_mean_exp"
    """From local evidence to the logit of a scan."""

    inverse_propensities: bool = True
    """Draw scans less often whose class sixteen by sixteen pixels tell: slice level and framing."""

    random_networks: bool = True
    """Remap the grey levels of half of the views by a random shallow network each, so that appearance
    tells nothing."""

    frozen: _Share = 0.4
    """Share of the backbone's layers, from the stem, that stay as ImageNet left them."""

    standardise: bool = True
    """Crop to the head and stretch grey levels before the network."""

    ema: _ShareBelowOne = 0.99
    """Momentum of the moving average of the weights; 0 for none."""

    without: list[str] = field(default_factory=list)
    """Sources to leave out, with all that shows the same pictures or patients."""

    batch_size: _Count = 32
    """Views in a step."""

    learning_rate: _Rate = 1e-3
    """Of the head in the second stage, at its start; other rates are fractions of it."""

    dropout: _ShareBelowOne = 0.3
    """Rate before the last layer."""

    weight_decay: _NotNegative = 0.02
    """Decoupled weight decay (AdamW)."""

    patience: _Count = 6
    """Epochs without a lower validation loss before a stage ends early."""

    seed: _CountOrZero = 2024
    """Of draws, augmentation, dropout and the head's first weights."""

    all_devices: bool = False
    """Share each batch among all GPUs; otherwise the first is used. With any GPU, training is in mixed
    precision (bfloat16)."""

    @property
    def network(self) -> str:
        """Name of the backbone that is built."""
        return "cnn" if self.recipe == "scratch" else self.backbone


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """Which recipe to search, and for how long."""

    data: Path
    """Dataset written by `python -m data prepare`."""

    out: Path
    """Folder of the search: its database, a run for each trial, `tune.json`. An unfinished one goes on."""

    recipe: Literal["finetune", "scratch"] = "finetune"
    """As in `train`."""

    trials: _Count = 20
    """Trainings in all, those of earlier calls included."""

    epochs: _Count = 3
    """Of each trial."""

    views_per_epoch: _Count = 2000
    """Of each trial."""

    seed: _CountOrZero = 2024
    """Of the search and of each trial."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LeaveOneSourceOutSettings:
    """Which recipe, and what to leave out of it."""

    run: Path
    """Folder of a begun run: its settings are the recipe; results go into it, and into the card of what
    is exported from it."""

    data: Path
    """The dataset that it is trained on."""

    sources: list[str] = field(default_factory=list)
    """Sources to leave out, one training each; `a+b` leaves out both at once. Each, if none is
    named."""

    views_per_epoch: _Count | None = None
    """Views in an epoch, where they shall differ from the run's: fewer save time."""

    epochs: _CountOrZero | None = None
    """Likewise, epochs of the whole network."""

    full_size_epochs: _CountOrZero | None = None
    """Likewise, epochs at full size."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """From which run to which model."""

    run: Path
    """Folder of a finished run."""

    data: Path
    """The dataset that it was trained on."""

    models: Path = Path("models/brain_tumor")
    """Base path of the model; the next version appears in it."""

    outlines: Path | None = None
    """SOURCE with outlines of tumours (`python -m training localise --help`), to check evidence maps of
    the test split with; without it the card says that they were not checked."""

    before: Path | None = None
    """Folder of the run of an earlier recipe: its `loso` figures stand in the card beside this one's."""

    unfamiliar_views: _Count = 48
    """Images of each family that is no brain MRI, to measure how often they are refused."""

    allow_worthless: Annotated[bool, Parameter(negative=())] = False
    """Publish even a network that ranks the validation scans backwards, to try the whole way; it is
    refused otherwise."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Which version on which scans."""

    model: Path
    """Version directory, for example `models/brain_tumor/1`."""

    data: Path
    """Folder with `yes/` and `no/`, at any depth below; its `manifest.csv`, or that of the folder above,
    tells which scans belong together."""

    json: Path | None = None
    """File to write the report to."""

    batch_size: _Count = 32
    """Scans a call."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LocaliseSettings:
    """Which version on which outlined tumours."""

    model: Path
    """Version directory, for example `models/brain_tumor/1`."""

    source: Path
    """Folder with `scans/` and a `manifest.csv` whose column `mask` names outlines of tumours."""

    split: Literal["test", "val", "train", "all"] = "test"
    """Which scans, by the column `split` of the manifest: those of `train` were learnt from."""

    json: Path | None = None
    """File to write the report to."""

    batch_size: _Count = 32
    """Scans a call."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """What the benchmark measures."""

    model_base_path: Path = Path("models/brain_tumor")
    """Base path whose newest version is measured."""

    data: Path | None = None
    """Dataset written by `python -m data prepare`, to measure the input pipeline; not measured without."""

    rounds: _Count = 7
    """Rounds of turns; more are steadier."""
