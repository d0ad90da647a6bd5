"""The study: trials in a SQLite file that several processes may share and that survives whatever ends them.

In: a folder, what the study is of, a space. Out: trials to run, and those that were run as plain rows. Suggestions depend on
the seed and on the trial's index alone, and a trial that a process left behind is asked for again under its index: a sweep
that was killed and started again asks for what an uninterrupted one asks for, as long as one process works at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError
from smallprint.core.extras import import_extra
from smallprint.sweep.space import Settings, Space, base_settings, parameters_of, settings_in, suggest
from smallprint.sweep.storage import build_sampler, open_storage, quiet, storage_errors
from smallprint.sweep.workers import Worker, alone, is_alive

NAME = "smallprint"
DEAD, DEFAULT = "dead", "default"


@dataclass(frozen=True)
class Row:
    """One trial as it stands in the study.

    Attributes:
        index: Counts the trials that were asked for, from 0; one that was left behind and asked for again keeps its own.
        state: 'complete', 'pruned', 'failed' or 'running'.
        settings: Those that are searched and heard.
        value: Validation average precision; of a pruned trial its last, None where there is none.
        start: What it was: 'default' (the run's own settings), 'known' or ''.
        curve: Validation average precision by epoch, or by fold.
        seconds: It took.
        why: It failed or was pruned.
    """

    index: int
    state: str
    settings: Settings
    value: float | None = None
    start: str = ""
    curve: list[float] = field(default_factory=list)
    seconds: float | None = None
    why: str = ""


class Study:
    """An open study, one worker's view of it; `open_study` gives it."""

    def __init__(self, folder: Path, study: Any, space: Space, base: Config, worker: Worker) -> None:
        self.folder, self.space, self.base = folder, space, base
        self._study, self._worker = study, worker

    def ask(self, most: int) -> tuple[Any, Row] | None:
        """Gives the next trial and its row, or None where `most` have been asked for."""
        import optuna

        waiting_state = optuna.trial.TrialState.WAITING
        with storage_errors(self.folder), alone(self.folder, "study"):
            self._bury_dead()
            trials = [t for t in self._study.get_trials(deepcopy=False) if DEAD not in t.user_attrs]
            waiting = [t for t in trials if t.state == waiting_state]
            if len(trials) - len(waiting) >= most:
                return None
            again = waiting[0] if waiting else None
            index = again.user_attrs["index"] if again else len(trials)
            self._study.sampler = build_sampler(self.base, index)
            trial = self._study.ask()
            trial.set_user_attr("worker", self._worker.name)
            trial.set_user_attr("index", index)
            suggest(trial, self.space, self.base)
            row = self._row(self._study.get_trials(deepcopy=False)[trial.number])
        return trial, row

    def report(self, trial: Any, value: float, step: int) -> bool:
        """Notes a point of a trial's curve, and gives whether it shall end here."""
        with storage_errors(self.folder):
            trial.report(value, step)
            return self.base.sweep.pruning and bool(trial.should_prune())

    def note(self, trial: Any, **values: Any) -> None:
        """Adds to what is known of a trial."""
        with storage_errors(self.folder):
            for name, value in values.items():
                trial.set_user_attr(name, value)

    def tell(self, trial: Any, state: str, value: float | None = None, why: str = "") -> None:
        """Ends a trial: 'complete' with its value, 'pruned' or 'failed' with why."""
        import optuna

        states = {name: getattr(optuna.trial.TrialState, name.upper()) for name in ("complete", "pruned")}
        self.note(trial, **({"why": why} if why else {}))
        with storage_errors(self.folder), quiet():
            self._study.tell(trial, value, state=states.get(state, optuna.trial.TrialState.FAIL))

    def leave_behind(self, trial: Any) -> None:
        """Gives a trial up, to be asked for again by whoever comes next."""
        with storage_errors(self.folder), alone(self.folder, "study"):
            self._bury(self._study.get_trials(deepcopy=False)[trial.number])

    def rows(self) -> list[Row]:
        """Gives every trial that was begun and not left behind, by index."""
        with storage_errors(self.folder), alone(self.folder, "study"):
            self._bury_dead()
            found = [t for t in self._study.get_trials(deepcopy=False) if t.state.name != "WAITING"]
        return sorted((self._row(t) for t in found if DEAD not in t.user_attrs), key=lambda row: row.index)

    def recall(self, name: str) -> Any:
        """Gives what was remembered of the study under a name, or None."""
        with storage_errors(self.folder):
            return self._study.user_attrs.get(name)

    def remember(self, name: str, value: Any) -> None:
        """Remembers something of the study."""
        with storage_errors(self.folder):
            self._study.set_user_attr(name, value)

    def close(self) -> None:
        """Gives the worker's lock and the file back."""
        self._worker.leave()
        self._study._storage.remove_session()
        getattr(self._study._storage, "_backend", self._study._storage).engine.dispose()

    def importances(self) -> dict[str, float]:
        """Gives how much each setting that was searched weighs, shares of 1, largest first (PED-ANOVA); empty for too few trials."""
        import optuna

        with storage_errors(self.folder), quiet():
            done = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
            if len(done) < 4 or len({trial.value for trial in done}) < 2:
                return {}
            return {key: float(v) for key, v in optuna.importance.get_param_importances(self._study).items()}

    def _row(self, trial: Any) -> Row:
        known = trial.user_attrs
        state = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running"}.get(trial.state.name, "failed")
        seconds = trial.duration.total_seconds() if trial.duration else None
        start = known.get("start", "")
        # the run's own settings may lie outside the space; the study then knows the nearest inside
        settings = base_settings(self.base, self.space) if start == DEFAULT else settings_in(trial.params, self.space)
        curve = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
        value = None if state == "failed" else trial.value if trial.value is not None else curve[-1] if curve else None
        return Row(
            known.get("index", trial.number), state, settings, value, start, curve, seconds, known.get("why", "")
        )

    def _bury_dead(self) -> None:
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state.name == "RUNNING":
                worker = trial.user_attrs.get("worker")
                if worker != self._worker.name and not (worker and is_alive(self.folder, worker)):
                    self._bury(trial)

    def _bury(self, trial: Any) -> None:
        """Marks a running trial dead and puts the same one in line: with all its settings if they had all been suggested."""
        import optuna

        known = {key: trial.user_attrs[key] for key in ("index", "start") if key in trial.user_attrs}
        settings = settings_in(trial.params, self.space)
        whole = settings.keys() == suggest(_Replay(trial.params), self.space, self.base).keys()
        fixed = trial.params if whole else trial.system_attrs.get("fixed_params", {})
        storage = self._study._storage
        storage.set_trial_user_attr(trial._trial_id, DEAD, True)
        storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
        if "index" in known:  # else it was never more than a number
            self._study.enqueue_trial(dict(fixed), user_attrs=known)


class _Replay:
    """Suggests what was suggested before; the domain's first value for what was not."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.parameters = parameters

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self.parameters.get(name, low))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self.parameters.get(name, low))

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return self.parameters.get(name, choices[0])


def open_study(
    folder: Path, about: Mapping[str, Any], space: Space, base: Config, starts: Sequence[tuple[str, Settings]]
) -> Study:
    """Gives the study in a folder: a new one that begins with `starts`, or the one that is there.

    Args:
        folder: Of the sweep; it exists.
        about: What the study is of, by name, for the next that opens it to compare.
        space: What is searched.
        base: Settings of the sweep.
        starts: What each is, and the settings of trials that come first.

    Raises:
        ConfigError: The study there is of other settings or data.
        TrainingError: Its file cannot be used.
    """
    optuna = import_extra("optuna", "A sweep needs", "sweep")
    with storage_errors(folder), quiet(), alone(folder, "study"):
        storage = open_storage(folder)
        known = {summary.study_name: summary for summary in optuna.get_all_study_summaries(storage)}
        if NAME in known and "about" not in known[NAME].user_attrs:  # killed before it was made
            optuna.delete_study(study_name=NAME, storage=storage)
            known.pop(NAME)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
        named = {"study_name": NAME, "storage": storage, "pruner": pruner}
        if NAME in known:
            study = optuna.load_study(**named)
            _check_same(folder, study.user_attrs["about"], about)
        else:
            study = optuna.create_study(**named, direction="maximize")
            for index, (start, settings) in enumerate(starts):
                study.enqueue_trial(parameters_of(settings, space), user_attrs={"index": index, "start": start})
            study.set_user_attr("about", dict(about))
    return Study(folder, study, space, base, Worker(folder))


def _check_same(folder: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    differ = [key for key in dict.fromkeys([*there, *here]) if there.get(key) != here.get(key)]
    if differ:
        told = "; ".join(f"{key}: {there.get(key, 'none')} there, {here.get(key, 'none')} here" for key in differ[:8])
        raise ConfigError(
            f"The study in {folder} is of something else. {told}.",
            "the data and settings that it began with",
            "Give these, or name another folder by --out.",
        )
