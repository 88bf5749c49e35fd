"""Adaptive studies on Ray Tune: its Stopper and its Searcher, over this project's own rules.

Which trial stops is decided in sweeps.adaptive.early_stopping, which one comes next by Optuna
through Ray Tune's searcher; both read the records. Contents: `stopper`; `searcher`, of Proposals,
and its Proposer.
"""

import logging
import warnings
from typing import Any, NamedTuple

from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.run_trial import Progress, stop
from scaling.seeds import key
from scaling.settings import Trial
from scaling.sound.store import Store
from sweeps.adaptive.early_stopping import METRICS, Watch
from sweeps.adaptive.search import Choice, Dimension, Ended, Integer, Ledger, LogUniform
from sweeps.engine.display import Display
from sweeps.engine.ray_callbacks import AWAITED

TRIES = 100  # suggestions in a row that bring no new trial, after which a search has converged


def stopper(watch: Watch, where: str) -> Any:
    """Tune's question whether a trial stops after an epoch, before it hands the report on.

    A trial that stops is recorded as such here, and said to be in the report: its worker waits for
    the answer, and ends there, unless it trains others beside it, among which it finds the record.
    """
    from ray.tune import Stopper

    class Early(Stopper):
        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles it for a restore that never comes

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            if AWAITED in result:
                return False
            progress = Progress(*(result[field] for field in Progress._fields))
            if progress.status.ended:
                return False
            reason = watch.heard(progress.trial, progress.epoch, progress.validation or {})
            if reason is None:
                return False
            try:
                stop(progress, Results(where), reason)
            except OSError as error:
                warnings.warn(
                    f"{progress.trial} is not stopped, though {reason}: {error}", stacklevel=2
                )
                return False
            result.update(status=Status.STOPPED, error=reason)
            return not result.get("others")

        def stop_all(self) -> bool:
            return False

    return Early()


class Proposals(NamedTuple):
    """What the trials of a search come from."""

    ledger: Ledger
    stores: dict[str, Store]
    watch: Watch | None  # is told of each new trial


def searcher(proposals: Proposals, display: Display) -> Any:
    """A searcher for Tune that asks a Proposer."""
    from ray.tune.search import Searcher

    class Next(Searcher):
        proposer: Proposer

        def __getstate__(self) -> dict[str, Any]:
            return {}  # as above

        def save(self, checkpoint_path: str) -> None:
            pass

        def suggest(self, trial_id: str) -> Any:
            trial = self.proposer.next(trial_id)
            return {"trial": trial.stated()} if trial else Searcher.FINISHED

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            self.proposer.ended(trial_id)

    made = Next()
    made.proposer = Proposer(proposals, display)
    return made


class Proposer:
    """Asks Optuna, through Ray Tune's searcher, for each next trial, and tells it how they ended;
    first it proposes again what an earlier launch did not come to run, or BASE.
    """

    def __init__(self, proposals: Proposals, display: Display) -> None:
        import optuna
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(logging.WARNING)
        self.ledger, self.stores, self.watch = proposals
        self.display, search = display, self.ledger.search
        trials = self.ledger.plan.trials
        self.waiting, ended = self.ledger.left(), self.ledger.ended(trials)
        first = self.waiting or ([] if trials else [search.base])
        self.optuna = OptunaSearch(
            {name: _distribution(each) for name, each in search.space.items()},
            metric=search.metric,
            mode="max" if METRICS[search.metric] > 0 else "min",
            points_to_evaluate=[search.values(trial) for trial in first],
            # another launch draws others
            seed=key(search.base.seed, "search", len(ended)) % 2**32,
        )
        for trial in trials:
            if trial.id in ended:
                _add(self.optuna, search.values(trial), ended[trial.id])
        self.live: dict[str, tuple[str, Trial]] = {}  # by Tune's name: Optuna's, and the trial

    def next(self, name: str) -> Trial | None:
        """The trial that Tune is to run under this name; None: no more."""
        samples = self.ledger.search.samples
        for attempt in range(TRIES):
            if len(self.ledger.plan.trials) >= samples and not self.waiting:
                return None
            suggestion = f"{name}-{attempt}"
            values = self.optuna.suggest(suggestion)
            assert values is not None, "Optuna has always another suggestion"
            if trial := self._new(suggestion, values):
                self.live[name] = suggestion, trial
                return trial
        warnings.warn(
            f"the last {TRIES} suggestions were known or invalid: the search ends with "
            f"{len(self.ledger.plan.trials)} of {samples} trials",
            stacklevel=2,
        )
        return None

    def _new(self, suggestion: str, values: dict[str, Any]) -> Trial | None:
        """The trial to run for a suggestion; where there is none, Optuna is told."""
        try:
            plan = self.ledger.proposed(values)
        except ValueError:
            _tell(self.optuna, suggestion, Ended(Status.FAILED, []))
            return None
        (trial,) = plan.trials
        if trial in self.waiting:
            self.waiting.remove(trial)
            return trial
        known = trial in self.ledger.plan.trials
        if not known:
            self.ledger.add(plan, self.stores)
            if self.watch:
                self.watch.add(plan, self.ledger.results)
        if known or self.ledger.results.ended([trial.id]):
            self._tell(suggestion, trial)
            return None
        self.display.add(trial, plan.epoch_work(0))
        return trial

    def ended(self, name: str) -> None:
        """Tune has done with the trial of this name."""
        self._tell(*self.live.pop(name))

    def _tell(self, suggestion: str, trial: Trial) -> None:
        ended = self.ledger.ended([trial]).get(trial.id, Ended(Status.FAILED, []))
        _tell(self.optuna, suggestion, ended)


def _tell(inner: Any, name: str, ended: Ended) -> None:
    """Tell Optuna how a suggestion of its own ended."""
    metric = inner.metric
    for step, value in enumerate(ended.scores):
        inner.on_trial_result(name, {metric: value, "training_iteration": step})
    done = ended.status == Status.COMPLETE and ended.scores
    result = {metric: ended.scores[-1]} if done else None
    inner.on_trial_complete(name, result, error=not done and ended.status != Status.STOPPED)


def _add(inner: Any, values: dict[str, Any], ended: Ended) -> None:
    """Tell Optuna of a trial of an earlier launch."""
    stopped = ended.status == Status.STOPPED
    done = ended.status == Status.COMPLETE and bool(ended.scores)
    inner.add_evaluated_point(
        values,
        ended.scores[-1] if ended.scores and (done or stopped) else None,
        error=not done and not stopped,
        pruned=stopped,
        intermediate_values=ended.scores,
    )


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions

    if isinstance(dimension, Choice):
        return distributions.CategoricalDistribution(dimension.values)
    if isinstance(dimension, Integer):
        return distributions.IntDistribution(dimension.low, dimension.high)
    log = isinstance(dimension, LogUniform)
    return distributions.FloatDistribution(dimension.low, dimension.high, log=log)
