"""What results folders hold: what was planned, and what became of it.

Source: columns are those of scaling.results.schemas.SCHEMAS, settings those of
scaling.settings.Trial.
Conventions: functions take a Results, several of them, which are read as one (analysis.joined), or
the Snapshot that `load` makes of these, which is read only once. A trial is complete when its
outcome says so, whatever metrics lie there; `progress` says what became of the others.
Contents: Snapshot, Source, load, reloaded, manifest, outcomes, progress, counts, read, as_frame.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis import metrics
from analysis.conditions import marked
from analysis.joined import Held, Joined, joined
from analysis.metrics import WantedMetrics
from analysis.selectors import Selector, Unmet, narrowed
from scaling import settings
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.spelling import nearest
from scaling.typed import not_results


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
    ended = [as_frame(read(folder, "outcomes")) for folder in folders]
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
    new = read(results, "outcomes", sorted(ended - set(final["trial"])))
    parts = [part for part in (final, as_frame(new)) if len(part)]
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
    tables = [read(folder, "manifest") for folder in folders]
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
        frame = as_frame(table).sort_values("planned", kind="stable")
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
    return as_frame(read(results, "outcomes"))


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
    measures = as_frame(read(snapshot.results, "metrics", frame["trial"][running]))
    reached = measures.groupby("trial")["epoch"].max()
    clocked = measures[measures["metric"].isin(["train_seconds", "evaluate_seconds"])]
    took = clocked.groupby("trial")["value"].sum()
    frame["epochs"] = frame["epochs"].fillna(frame["trial"].map(reached)).fillna(0).astype(int)
    frame["seconds"] = frame.pop("wall_s").fillna(frame["trial"].map(took)).fillna(0.0)
    return frame


def counts(progress: pd.DataFrame) -> dict[str, int]:
    """Number of planned trials of each Status, zeros included."""
    return {status: int((progress["status"] == status).sum()) for status in Status}


def read(results: Results | Joined, kind: str, names: Iterable[str] | None = None) -> pa.Table:
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


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Arrow to pandas; integers with nulls stay integers, where pandas would make them floats."""
    holed = [f.name for f in table.schema if pa.types.is_integer(f.type)]
    kinds = {name: "Int64" for name in holed if table[name].null_count}
    frame: pd.DataFrame = table.to_pandas().astype(kinds)
    return frame.copy()  # else each column is a block of its own, of which pandas warns beyond 100
