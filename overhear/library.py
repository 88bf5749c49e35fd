"""The public API: what the commands do, as functions of DataFrames, tensors and paths.

Results are named by their folder or URI, or given as `load_results` returns them, which reads them
once. Nothing heavy is imported before a function needs it. Errors that a person can mend are
ValueErrors of one line, as on the command line.
"""

# B clips, T samples, F mel bands, N frames, Y classes

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from analysis.choose import ModelChoice
    from analysis.data import Data
    from scaling.results.run_trial import Progress
    from scaling.shipping.model import Model

Location = str | os.PathLike[str]


def load_results(
    *locations: Location, studies: Sequence[str] = (), where: Mapping[str, Any] | None = None
) -> "Data":
    """One or several results folders (paths or URIs) as one: one id is one trial, whose records
    must agree.

    `.manifest` is a DataFrame of one row per trial with all its settings; `.scores()`,
    `.evaluations()`, `.predictions()` and `.maps()` give what was recorded. `studies` keeps only
    the trials of these, `where` those with these settings (`{"split.fraction": 0.5}`; of a tuple,
    any value will do). Raises ValueError for a folder without results or such trials, or with
    records that contradict each other.

    >>> results = load_results(folder)
    >>> results.manifest["network.width"].tolist()
    [2, 4]
    """
    from analysis.data import opened

    return opened(locations, studies=studies, where=where)


def scores(results: "Data | Location", metric: str = "accuracy", unit: str = "") -> "pd.DataFrame":
    """Each trial's score on each split and device: the mean of its last evaluated epochs.

    One row per (trial, split, device), device `all` for all clips of a split; accuracies are
    fractions. Raises ValueError for a metric that no trial recorded.

    >>> found = scores(folder)
    >>> everywhere = found[(found["split"] == "test") & (found["device"] == "all")]
    >>> bool(everywhere["value"].between(0, 1).all()), len(everywhere)
    (True, 2)
    """
    return _opened(results, unit).scores(metric)


def claims(
    results: "Data | Location", study: str = "", alpha: float = 0.05, unit: str = ""
) -> "pd.DataFrame":
    """Each claim of a study judged by its results: supported, contradicted or undecided.

    One row per claim with effect, low, high, n, unit, p and p_holm (Holm's correction over the
    study's claims); `needed` says how many more of `needed_unit` would decide. `study` names the
    one that states the claims, a shipped study or a Python file, where none were recorded with the
    results. Raises ValueError where there are none, and where not one can be judged.

    >>> claims(folder, study=study)[["claim", "verdict"]].values.tolist()
    [['width helps', 'undecided']]
    """
    from analysis.claims import judge

    if not study:
        return judge(_opened(results, unit), alpha=alpha)
    from sweeps.study import find

    found = find(study)
    if not found.claims:
        raise ValueError(f"study={study} states no CLAIMS")
    return judge(_opened(results, unit), {found.name: found.claims}, alpha)


def choose(
    results: "Data | Location",
    most: Mapping[str, float] | None = None,
    least: Mapping[str, float] | None = None,
    on: str = "validation",
) -> "ModelChoice":
    """The best model within a budget by the clips of `on`, and the cheapest that is as good.

    `most` bounds costs (`{"parameters": 128_000, "macs": 30e6}`), `least` accuracies
    (`{"unseen": 0.7}`). `.best` and `.cheapest` are rows of `.candidates`, a DataFrame of one row
    per configuration with its interval; `.reason` says why. Raises ValueError for results without
    validation clips (test clips, named by `on`, flatter), and names the nearest model where none is
    within the budget.

    >>> choice = choose(folder, most={"parameters": 1000})
    >>> int(choice.best["parameters"]) <= 1000
    True
    """
    from analysis.choose import choose as chosen

    return chosen(_opened(results), most or {}, least or {}, on)


def load_model(results: Location, trial: str = "") -> "Model":
    """The model of a trained trial, as a module from waves (B, T) to logits (B, Y).

    `trial` is an id or a beginning of it; without one, the choice of validation clips is loaded.
    The model says what it takes and gives (`.rate` Hz, `.samples` of a clip, `.labels` in the order
    of the logits); `.probabilities(logits)` are calibrated where the trial has validation clips.
    Raises ValueError for a trial that is unknown or without weights, and where none can be chosen.

    >>> import torch
    >>> model = load_model(folder, trial)
    >>> tuple(model(torch.zeros(3, model.samples)).shape), model.labels
    ((3, 2), ('high', 'low'))
    """
    from analysis.pick import pick
    from scaling.results.records import Results
    from scaling.shipping.model import load

    where = Results(results)
    picked = pick(where, trial)
    return load(where, picked.trial, temperature=picked.temperature)


def predict(
    model: "Model", recordings: "Location | Iterable[Location]", hop: float | None = None
) -> "pd.DataFrame":
    """What a model answers to recordings: files, and all of those below folders.

    They may have any rate, length, format and number of channels; long ones are heard in windows
    that begin every `hop` seconds (None: a clip's length). Columns: file; part (`whole`, or a
    `window` of a long recording); start and end, s; label and its probability; note; and `p(CLASS)`
    for each class. What cannot be read has no label and says why. Raises ValueError for a hop that
    is longer than a clip, and where there is nothing to hear.

    >>> answers = predict(load_model(folder, trial), root / "high" / "0.wav")
    >>> answers[["part", "start", "end"]].values.tolist()
    [['whole', 0.0, 0.5]]
    """
    from scaling.shipping.predict import predict as predicted

    return predicted(model, recordings, hop)


def train(
    settings: Mapping[str, Any] | None = None,
    *,
    recipe: str = "quickstart",
    out: Location = "results/train",
    root: Location | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    progress: "Callable[[Progress], None] | None" = None,
) -> "pd.DataFrame":
    """Train one trial on this machine, from a recipe with some dotted settings changed.

    Its records are written to `out`, from which it continues if it was cut off; a trial that is
    complete there is not trained again. `progress` is called after each epoch. Returns its metrics:
    trial, epoch, split, device, metric, value. Raises ValueError for settings that are no trial,
    recordings that are not at `root`, and a trial that failed.

    >>> metrics = train({"network.width": 2, **tiny}, recipe="own", root=root, out=folder)
    >>> sorted(metrics["split"].unique())
    ['test', 'train', 'validation']
    """
    from scaling import machine
    from scaling.results import alone
    from scaling.results.manifest import plan
    from scaling.results.records import Results
    from scaling.settings import changed, recipes
    from scaling.sound import prepare

    here = machine.here(device, precision, threads)
    trial = changed(recipes.find(recipe, f"recipe={recipe}"), settings or {})
    clips = prepare.scan([trial], None if root is None else Path(root))
    planned = plan("train", [trial], {name: each.table for name, each in clips.items()})
    results = Results(out)
    for step in alone.begin(planned, clips, results, here):
        if progress:
            progress(step)
        if step.error:
            raise ValueError(f"trial {trial.id} failed: {step.error}")
    metrics: pd.DataFrame = results.read("metrics", [trial.id]).to_pandas()
    return metrics


def frontend(kind: str = "log_mel", rate: int = 22_050, **features: Any) -> "nn.Module":
    """A front end from waves (B, T), float32 of full scale 1 at `rate` Hz, to features (B, F, N).

    `features` are the settings of sound.features (`overhear settings sound.features`): window,
    hop, mels, range_db and others. Raises ValueError for those that are none.

    >>> import torch
    >>> front = frontend("log_mel", 16_000, window=512, hop=256, mels=64)
    >>> tuple(front(torch.zeros(2, 16_000)).shape)
    (2, 64, 63)
    """
    from pydantic import ValidationError

    from scaling.settings import Features, explain
    from scaling.sound import frontends

    usual = {"window": 2048, "hop": 512, "mels": 256}
    try:
        stated = Features.model_validate({"kind": kind, **usual, **features})
    except ValidationError as error:
        raise ValueError(explain(error)) from None
    return frontends.build(stated, rate)


def effective_receptive_field(
    model: "nn.Module", inputs: "Iterable[Tensor]", layer: str = ""
) -> "NDArray[np.float64]":
    """Where in its input a model really looks: (rows, columns), float64, not normalized.

    The mean absolute gradient, over the clips of `inputs`, of the middle pixel of the output of
    `layer`, a name of `model.named_modules()`; without one, of what the model returns: a map,
    logits (their sum), or of (logits, map) the map. Inputs are batches (B, C, rows, columns) or
    (B, rows, columns). A model of `load_model` takes waves (B, T) and is differentiated at its last
    map; rows are mel bands, columns frames. Source: Luo et al. 2016. Raises ValueError for an
    unknown layer, no clip, another output, and a map that is zero or not finite.

    >>> import torch
    >>> average = torch.nn.AvgPool2d(3, stride=1, padding=1)
    >>> effective_receptive_field(average, [torch.randn(2, 1, 7, 7)]).round(2)[2:5, 2:5].tolist()
    [[0.11, 0.11, 0.11], [0.11, 0.11, 0.11], [0.11, 0.11, 0.11]]
    """
    from scaling.receptive_field.gradients import effective_field, map_of, output_of, target_of
    from scaling.shipping.model import Model

    if isinstance(model, Model):
        network = model.classifier.network
        inputs = (model.classifier.standardize(model.frontend(w_BT))[:, None] for w_BT in inputs)
        target = output_of(network, layer) if layer else target_of(network, "feature")
        return effective_field(network, inputs, target).values_FN
    target = output_of(model, layer) if layer else map_of(model)
    return effective_field(model, inputs, target).values_FN


def prune(
    model: "nn.Module",
    keep: float,
    way: Literal["magnitude", "static", "channels"] = "magnitude",
    guard: float = 0.99,
    seed: int = 0,
    **channels: Any,
) -> "dict[str, Tensor]":
    """Cut weights of a model's convolutions and dense layers, in place and for good.

    `magnitude` keeps the share `keep` of them, the largest over all layers (no layer loses more
    than `guard`); `static` draws them from `seed`, the largest layers cut first. Such weights make
    a model neither smaller nor faster. `channels` cuts whole channels of a model of `load_model`
    until this share of its multiply-adds is left, and `compact` then leaves them out; `channels`
    are settings of pruning.kind=channels (`overhear settings pruning`): budget, criterion, ranking,
    round_to. What is cut is zero and stays zero while the model trains on. Returns the masks by the
    layer's name, true where a weight stays. Sources: Koutini et al. 2021; Golubeva et al. 2021; Liu
    et al. 2017. Raises ValueError for a share that cannot be met.

    >>> import torch
    >>> layer = torch.nn.Linear(4, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, -1.0, 0.5, -2.0]]))
    >>> prune(torch.nn.Sequential(layer), keep=0.5)["0"].tolist()
    [[True, False, False, True]]
    >>> model = load_model(folder, trial)
    >>> masks = prune(model, keep=0.5, way="channels", budget="parameters")
    >>> whole, small = (sum(p.numel() for p in m.parameters()) for m in (model, compact(model)))
    >>> small <= whole / 2
    True
    """
    from scaling.shipping import lighter
    from scaling.shipping.model import Model

    if channels and way != "channels":
        raise ValueError(f"way={way} has no {next(iter(channels))}, only channels has")
    if way != "channels":
        return lighter.cut_weights(model, keep, way, guard, seed)
    if not isinstance(model, Model):
        raise ValueError(
            f"way=channels: a {type(model).__name__} does not say which of its layers share "
            "channels: take a model of load_model"
        )
    return lighter.cut_channels(model, keep, channels)


def compact(model: "Model") -> "Model":
    """A copy of a model of `load_model` without its channels that are zero, as `prune` with
    `way="channels"` leaves them: smaller and faster, with the same logits but for rounding.

    >>> import torch
    >>> model = load_model(folder, trial)
    >>> _ = prune(model, keep=0.5, way="channels")
    >>> waves = torch.randn(2, model.samples)
    >>> torch.allclose(compact(model)(waves), model(waves), atol=1e-5)
    True
    """
    from scaling.shipping import lighter

    return lighter.compacted(model)


def _opened(results: "Data | Location", unit: str = "") -> "Data":
    """What was opened, or is now."""
    from analysis import units
    from analysis.data import Data, opened

    if isinstance(results, Data):
        return Data(results.snapshot, results.last, units.asked(unit)) if unit else results
    return opened([results], unit=units.asked(unit))
