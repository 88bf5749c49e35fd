"""From a results folder to tables: what was planned, what became of it, what it scored.

Source: columns are those of scaling.results.schemas.SCHEMAS, settings those of
scaling.settings.Trial.
Conventions: every function takes a Results, several of them, which are read as one
(analysis.joined), or the Snapshot that `load` makes of these, which is read only once. A trial is
complete when its outcome says so, whatever metrics lie there; only complete trials are scored, and
`progress` says what became of the others.
Contents: load, reloaded, manifest, outcomes, progress, counts, stated_last, chance,
evaluations, scores, predictions, maps.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis import metrics
from analysis.conditions import marked
from analysis.joined import Held, Joined, joined
from analysis.metrics import Recorded, WantedMetrics
from analysis.metrics import Unrecorded as Unrecorded
from analysis.selectors import Selector, Unmet, narrowed
from scaling import settings
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.schemas import SCHEMAS
from scaling.settings import sizes
from scaling.spelling import nearest
from scaling.typed import not_results

# what decides which clips are scored: trials that agree in these score the same
DESIGN = ("data_digest", "sound.classes", "split.", "microphones.", "evaluation.")
SERIES = ["trial", "split", "device"]  # what one series of values over epochs belongs to


class Snapshot(NamedTuple):
    """Results folders as they were when `load` read them; metrics stay on disk until asked for."""

    results: Joined
    manifest: pd.DataFrame
    outcomes: pd.DataFrame
    launches: tuple[str, ...] = ()  # names of the manifests; none where only some were looked at


KEPT = ("kept_weights", "kept_parameters", "kept_macs")  # counts of what pruning leaves

Source = Results | Sequence[Results] | Snapshot


def load(results: Source, studies: Sequence[str] = (), where: Selector | None = None) -> Snapshot:
    """What was planned and what became of it; a Snapshot is returned as it is.

    Several studies may share a folder, and trials: `studies` names whose trials are looked at, all
    unless given, and `where` the settings that these have. Raises ValueError when one of these is
    no results folder, or one that cannot be read, when no folder has such a study or no trial such
    settings, and when folders hold other metrics of one trial.
    """
    if isinstance(results, Snapshot):
        return results
    folders = [results] if isinstance(results, Results) else [*results]
    made = Joined(folders)
    some = bool(studies or where)
    launches = () if some else tuple(made.names("manifest"))  # first: more may be written now
    planned = _planned(folders, studies)
    ended = [_frame(_read(folder, "outcomes")) for folder in folders]
    if len(folders) > 1:
        held = map(Held, folders, planned, ended)
        made, latest, now = joined([*held])
    else:
        (latest,), (now,) = planned, ended
    latest = _told(_selected(latest, where, made.where) if where else latest)
    if some:
        now = now[now["trial"].isin(latest["trial"])].reset_index(drop=True)
    return Snapshot(made, _as_cut(made, latest, now), now, launches)


def reloaded(snapshot: Snapshot) -> Snapshot:
    """A snapshot of the folders as they are now. Of a single one, what cannot change is not read
    again: manifests are never written twice, and what has ended has ended, but for failed trials,
    which may be retried.
    """
    results, known = snapshot.results, snapshot.outcomes
    if len(results.parts) > 1:
        return load(results.parts)
    launches, ended = tuple(results.names("manifest")), set(results.names("outcomes"))
    planned = snapshot.manifest if launches == snapshot.launches else manifest(results.parts[0])
    final = known[known["trial"].isin(ended) & (known["status"] != Status.FAILED)]
    new = _read(results, "outcomes", sorted(ended - set(final["trial"])))
    parts = [part for part in (final, _frame(new)) if len(part)]
    now = pd.concat(parts, ignore_index=True) if parts else final
    return Snapshot(results, _as_cut(results, planned, now), now, launches)


def _as_cut(results: Joined, planned: pd.DataFrame, ended: pd.DataFrame) -> pd.DataFrame:
    """A manifest with what complete trials kept whose channels were ranked over the network: which
    of them stay, and so what is left, is learnt, and planned was a network of the same budget.
    """
    learnt = (planned["pruning.kind"] == "channels") & (planned["pruning.ranking"] == "network")
    complete = ended.loc[ended["status"] == Status.COMPLETE, "trial"]
    trials = planned.loc[learnt & planned["trial"].isin(complete), "trial"]
    if trials.empty:
        return planned
    wanted = WantedMetrics(frozenset(KEPT), "all", last=1)
    (found,) = metrics.recorded(results, trials, [wanted])
    now = {name: found.values(name).set_index("trial")["value"] for name in KEPT}
    cut = planned.assign(
        **{n: planned["trial"].map(kept).fillna(planned[n]) for n, kept in now.items()}
    )
    # but for a few numbers of normalization, both counts differ by the same
    less = (planned["kept_macs"] - cut["kept_macs"]).fillna(0)
    return cut.assign(dcase_macs=planned["dcase_macs"] - less)


def manifest(results: Results | Joined, studies: Sequence[str] = ()) -> pd.DataFrame:
    """One row per planned trial, as its latest launch planned it; columns as in
    SCHEMAS, and `transferred` of analysis.conditions.

    A setting that is younger than its manifest has its default, which means "off".
    Raises ValueError where no trial was planned, or none by a study of these names.
    """
    (planned,) = _planned([results], studies)
    return _told(planned)


def _planned(folders: Sequence[Results | Joined], studies: Sequence[str]) -> list[pd.DataFrame]:
    """The latest plan of each trial of each folder."""
    tables = [_read(folder, "manifest") for folder in folders]
    for folder, table in zip(folders, tables, strict=True):
        if not table.num_rows:
            why = "no trial in manifest/*.parquet"
            raise ValueError(not_results(folder.where, why))
    known = sorted({name for table in tables for name in pc.unique(table["study"]).to_pylist()})
    for study in studies:
        if study not in known:
            where = ", ".join(folder.where for folder in folders)
            raise ValueError(f"--study {study}: not planned in {where}{nearest(study, known)}")
    found = []
    for folder, table in zip(folders, tables, strict=True):
        if studies:
            table = table.filter(pc.is_in(table["study"], pa.array(studies, pa.string())))
        for name, each in settings.settings().items():
            if each.off in (None, settings.REQUIRED):
                continue
            default = each.column
            filled = pc.fill_null(table[name], pa.scalar(default, table[name].type))
            table = table.set_column(table.schema.get_field_index(name), name, filled)
        _check_settings(folder, table)
        frame = _frame(table).sort_values("planned", kind="stable")
        found.append(frame.drop_duplicates("trial", keep="last"))
    return found


def _selected(planned: pd.DataFrame, where: Selector, place: str) -> pd.DataFrame:
    """The planned trials with these settings, of which there is at least one."""
    try:
        return narrowed(planned, where)
    except Unmet as error:
        raise ValueError(
            f"--where: {error}: name another value, or sweep this one into {place}"
        ) from None


def _told(planned: pd.DataFrame) -> pd.DataFrame:
    """The plans with what analysis tells of them."""
    return marked(_of_one_revision(planned)).reset_index(drop=True)


def _of_one_revision(planned: pd.DataFrame) -> pd.DataFrame:
    """The trials, without those whose settings have come to mean something else since, where there
    are others of the same study: the two must not be averaged. Warns of them.
    """
    concerned = planned[(planned["split.fraction"] < 1) & ~planned["split.by_chance"]]
    rows: list[dict[str, Any]] = concerned.to_dict("records")  # type: ignore[assignment]
    ids = {row["trial"]: settings.unflat(row).id for row in rows}
    earlier = planned["trial"].isin([trial for trial, now in ids.items() if trial != now])
    if not earlier.any():
        return planned
    what = f"{int(earlier.sum())} trials are of an earlier version, which drew other clips for "
    if earlier.sum() == len(ids):
        warnings.warn(f"{what}split.fraction: run their sweep again for exact ones", stacklevel=4)
        return planned
    warnings.warn(f"{what}split.fraction: they are left out", stacklevel=4)
    return planned[~earlier]


def outcomes(results: Results) -> pd.DataFrame:
    """One row per trial that ended: complete, stopped or failed; columns as in SCHEMAS."""
    return _frame(_read(results, "outcomes"))


def progress(results: Source) -> pd.DataFrame:
    """One row per planned trial: trial, study, training.epochs, status, error, epochs, seconds.

    `status` is one of Status: running has metrics but no outcome (it trains, or was cut off),
    missing has neither. `epochs` counts those trained so far, `seconds` what they took; `error` is
    null unless it failed.
    """
    snapshot = load(results)
    ended = snapshot.outcomes[["trial", "status", "error", "epochs", "wall_s"]]
    planned = snapshot.manifest[["trial", "study", "training.epochs"]]
    frame = planned.merge(ended, on="trial", how="left", validate="one_to_one")
    measured = frame["trial"].isin(snapshot.results.names("metrics"))
    running = frame["status"].isna() & measured
    frame["status"] = frame["status"].mask(running, Status.RUNNING).fillna(Status.MISSING)
    measures = _frame(_read(snapshot.results, "metrics", frame["trial"][running]))
    reached = measures.groupby("trial")["epoch"].max()
    clocked = measures[measures["metric"].isin(["train_seconds", "evaluate_seconds"])]
    took = clocked.groupby("trial")["value"].sum()
    frame["epochs"] = frame["epochs"].fillna(frame["trial"].map(reached)).fillna(0).astype(int)
    frame["seconds"] = frame.pop("wall_s").fillna(frame["trial"].map(took)).fillna(0.0)
    return frame


def counts(progress: pd.DataFrame) -> dict[str, int]:
    """Number of planned trials of each Status, zeros included."""
    return {status: int((progress["status"] == status).sum()) for status in Status}


def evaluations(
    results: Source, metric: str = "accuracy", last: int | None = None, device: str | None = None
) -> pd.DataFrame:
    """One row per (trial, epoch, split, device) of the complete trials: value of the metric.

    `last` keeps that many last evaluated epochs of each trial, split and device, `device` one
    device; None: all. Of a big study, ask for few rows: all of them need not fit into memory.
    Raises Unrecorded for a metric that no complete trial recorded, or a value that is not finite.
    """
    wanted = WantedMetrics(frozenset([metric]), device, last)
    (found,) = recorded(load(results), [wanted])
    return found.values(metric)


def recorded(snapshot: Snapshot, wanted: Sequence[WantedMetrics]) -> tuple[Recorded, ...]:
    """What the complete trials recorded, read once for all that is wanted: metrics.recorded."""
    for each in wanted:
        if each.last is not None and each.last < 1:
            raise ValueError(f"last={each.last}: average at least the last epoch (last >= 1)")
    complete = snapshot.outcomes.loc[snapshot.outcomes["status"] == Status.COMPLETE, "trial"]
    planned = snapshot.manifest["trial"]
    return metrics.recorded(snapshot.results, planned[planned.isin(complete)], wanted)


def scores(
    results: Source,
    metric: str = "accuracy",
    last: int = 1,
    unit: str = "",
    found: Recorded | None = None,
) -> pd.DataFrame:
    """One row per (trial, split, device) of the complete trials, with all columns of the manifest.

    `value` is the mean of the metric over the trial's last `last` evaluated epochs, `epochs` their
    number (fewer than `last` where fewer were evaluated), `spread_over_epochs` their standard
    deviation (n - 1; nan for one epoch). Device `all` is the mean over a split's clips.
    Sizes are those of `in_use`; `chance` is the
    accuracy of guessing, 1 / classes (nan where no predictions tell the classes); `clips` is how
    many different clips of the split were scored (nan likewise), `by_device` the value of each
    named device of the split (a mapping, in rows of device `all`); `metric` and `unit` are as asked
    for. `found` holds these last epochs where they were read before.
    Empty when no trial is complete. Errors: those of `evaluations`.
    """
    snapshot = load(results)
    ended = found.values(metric) if found else evaluations(snapshot, metric, last)
    values = ended.groupby(SERIES)["value"]
    frame = values.agg(value="mean", epochs="count", spread_over_epochs="std").reset_index()
    frame = frame.assign(metric=metric, unit=unit, by_device=by_device(frame))
    told = in_use(snapshot.manifest).assign(chance=chance(snapshot))
    frame = frame.merge(told, on="trial", how="left", validate="many_to_one")
    return frame.assign(clips=_clips(snapshot, frame))


def in_use(planned: pd.DataFrame) -> pd.DataFrame:
    """A manifest with sizes of networks as they are used: where whole channels were cut,
    `parameters`, `weights` and `macs` are without them; single weights that are cut leave all three
    as they are.

    `kept_parameters` are what pruning leaves; `bytes`, of float32 parameters, are what a network
    takes in use, `dense_bytes` with all zeros, cut channels included, and `sparse_bytes` as
    scaling.settings.sizes counts them.
    """
    cut = planned["kept_parameters"].notna()
    left = planned["parameters"] - planned["weights"] + planned["kept_weights"]
    kept = left.where(~cut, planned["kept_parameters"]).astype("int64")
    counts = zip(planned["parameters"], planned["weights"], planned["kept_weights"], strict=True)
    sized = [
        sizes.in_bytes(*each, of if channels else None)
        for each, channels, of in zip(counts, cut, kept, strict=True)
    ]
    less = {"parameters": kept, "weights": planned["kept_weights"], "macs": planned["kept_macs"]}
    return planned.assign(
        **{n: planned[n].where(~cut, of).astype("int64") for n, of in less.items()},
        kept_parameters=kept,
        bytes=[each.compacted for each in sized],
        dense_bytes=[each.dense for each in sized],
        sparse_bytes=[each.sparse for each in sized],
    )


def predictions(
    results: Source, trials: Sequence[str] | None = None, columns: Sequence[str] | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The predictions of these trials, one trial at a time: its id, and these columns of its rows.

    `trials` None: all planned ones; `columns` None: all but `trial`. What has none is left out.
    """
    snapshot = load(results)
    known = set(snapshot.results.names("predictions"))
    wanted = snapshot.manifest["trial"] if trials is None else trials
    chosen = SCHEMAS["predictions"].names[1:] if columns is None else list(columns)
    there = [trial for trial in wanted if trial in known]
    for trial, rows in snapshot.results.each("predictions", there):
        yield trial, rows.select(chosen).to_pandas()


def maps(results: Source) -> pd.DataFrame:
    """ERF maps of the planned trials, as in SCHEMAS; the last of each trial, kind and split."""
    snapshot = load(results)
    recorded = set(snapshot.results.names("maps"))
    trials = [trial for trial in snapshot.manifest["trial"] if trial in recorded]
    frame = _frame(_read(snapshot.results, "maps", trials)).sort_values("epoch", kind="stable")
    return frame.drop_duplicates(["trial", "kind", "split"], keep="last")


def stated_last(results: Source) -> int:
    """How many last epochs the study itself averages: evaluation.last where all trials agree."""
    stated = set(load(results).manifest["evaluation.last"])
    return int(stated.pop()) if len(stated) == 1 else 1


def chance(snapshot: Snapshot) -> "pd.Series[float]":
    """1 / classes of each planned trial, told by the predictions of one trial on the same clips."""
    chances: dict[str, float] = {}
    for trials, answers in told_by_one(snapshot, ["data_digest"]):
        logits = answers["logits"]
        share = 1 / len(logits[0]) if len(logits) else float("nan")
        chances |= dict.fromkeys(trials, share)
    return snapshot.manifest["trial"].map(chances)


def told_by_one(
    snapshot: Snapshot, alike: Sequence[str] | None = None
) -> Iterator[tuple["pd.Series[str]", pa.Table]]:
    """The trials that agree in these columns of the manifest (None: that score the same clips), and
    the predictions of one of them, which tells what is the same in all; empty where none has any.
    """
    planned = snapshot.manifest
    columns = alike or [name for name in map(str, planned) if name.startswith(DESIGN)]
    predicted = set(snapshot.results.names("predictions"))
    for _, trials in planned.groupby([*columns], dropna=False)["trial"]:
        known = [trial for trial in trials if trial in predicted][:1]
        yield trials, snapshot.results.read("predictions", known)


def by_device(frame: pd.DataFrame) -> "pd.Series[Any]":
    """In rows of device `all`, the value of each named device of the same trial and split."""
    rows = list(zip(*(frame[name].tolist() for name in (*SERIES, "value")), strict=True))
    known: dict[tuple[str, str], dict[str, float]] = {}
    for trial, split, device, value in rows:
        if device not in ("all", ""):
            known.setdefault((trial, split), {})[device] = value
    found = [known.get(row[:2]) if row[2] == "all" else None for row in rows]
    return pd.Series(found, index=frame.index, dtype="object")


def _clips(snapshot: Snapshot, frame: pd.DataFrame) -> "pd.Series[float]":
    """How many different clips are scored on each row's split, told by the predictions of one of
    the trials that are split alike.
    """
    counts: dict[tuple[str, str], int] = {}
    for trials, answers in told_by_one(snapshot):
        clips = answers.select(["split", "clip"]).to_pandas().groupby("split")["clip"].nunique()
        counts |= {(trial, split): n for trial in trials for split, n in clips.items()}
    keys = zip(frame["trial"], frame["split"], strict=True)
    found = [counts.get(key, float("nan")) for key in keys]
    return pd.Series(found, index=frame.index, dtype="float64")


def _read(results: Results | Joined, kind: str, names: Iterable[str] | None = None) -> pa.Table:
    """Records of one kind. Raises ValueError where their columns do not fit the schema."""
    try:
        return results.read(kind, names)
    except (pa.ArrowTypeError, pa.ArrowKeyError) as error:
        raise ValueError(
            f"{results.where}: a file of {kind}/ was not written by Overhear ({error}): move it "
            "away"
        ) from None


def _check_settings(results: Results | Joined, manifest: pa.Table) -> None:
    """Raises ValueError for a setting that has no value, or one that no version can mean."""
    for name, kind in settings.leaves().items():
        values = set(pc.unique(manifest[name]).to_pylist())
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        odd = values & {None}
        if choices:
            odd = {value for value in values if not settings.admits(kind, value)}
        if odd and (choices or not _may_be_null(kind)):
            said = f"{name}={sorted(map(str, odd))[0]}"
            wanted = f"one of {', '.join(map(str, choices))}" if choices else "a value"
            raise ValueError(
                f"{results.where} plans a trial with {said}, which has to be {wanted}: a newer "
                "Overhear planned it, or its manifest is damaged; move that file away"
            )


def _may_be_null(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _frame(table: pa.Table) -> pd.DataFrame:
    """Arrow to pandas; integers with nulls stay integers, where pandas would make them floats."""
    holed = [f.name for f in table.schema if pa.types.is_integer(f.type)]
    kinds = {name: "Int64" for name in holed if table[name].null_count}
    frame: pd.DataFrame = table.to_pandas().astype(kinds)
    return frame.copy()  # else each column is a block of its own, of which pandas warns beyond 100
