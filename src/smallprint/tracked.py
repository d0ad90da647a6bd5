"""What of a training goes to MLflow, and when. In: the run and what it found. Out: nothing. Steps of `api.train`.

Texts of examples are in none of it, unless `tracking.log_examples` is on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.files import write_text
from smallprint.core.mlflow_store import shown, tracking_uri, without_passwords
from smallprint.core.progress import Say
from smallprint.core.results import Array, Metrics, ScoredSplit
from smallprint.core.run import Run, scores_file
from smallprint.core.settings import render_config
from smallprint.evaluation.final_intervals import build_intervals
from smallprint.papers import write_report
from smallprint.runs import versions
from smallprint.training.left_behind import ids_of, send_folders, send_left_behind, state_of
from smallprint.training.tracking import Tracker

Scored = tuple[Metrics, ScoredSplit, Sequence[str | None]]


def open_tracker(run: Run, say: Say) -> Tracker:
    """Gives the run's tracker; what earlier runs of the root could not send is sent first, where the store answers.

    Of several processes the first tracks.
    """
    config = run.config
    if not run.writes:
        off = config.tracking.model_copy(update={"enabled": False})
        return Tracker(config.model_copy(update={"tracking": off}), run.name, say)
    state = run.state
    tracker = Tracker(
        config,
        run.name,
        say,
        ids_of(state),
        folder=run.folder,
        remember=lambda ids: run.update(**state_of(ids)),
        parent=state.get("parent", ""),
    )
    if tracker.uri is not None and tracker.answers:
        send_left_behind(Path(config.tracking.root), run.folder, tracker.uri, say)
    return tracker


def send_rest(run: Run, say: Say) -> str | None:
    """Sends what a finished run could not, where its store answers now, and gives the store; None where it is not tracked."""
    tracking = run.config.tracking
    if not tracking.enabled:
        return None
    uri = tracking_uri(run.config)
    if run.writes:
        send_folders([run.folder], Path(tracking.root), uri, say)
    return shown(uri)


def log_start(tracker: Tracker, run: Run, config: Config, summary: dict[str, Any]) -> None:
    """Logs settings, versions, the code's commit, and which data it is."""
    if tracker.uri is None:
        return
    safe = without_passwords(config)
    tracker.log_parameters(safe.model_dump())
    rows, prints, data = summary["rows"], summary["fingerprints"], str(run.state.get("data", ""))
    tracker.log_tags(
        {
            "smallprint.run": str(run.folder.absolute()),
            "smallprint.task": str(summary["task"]),
            "smallprint.command": str(run.state.get("command", "")),
            **{f"smallprint.data.{split}.fingerprint": prints[split] for split in prints},
            **{f"smallprint.data.{split}.rows": str(rows[split]) for split in rows},
            **{f"smallprint.version.{name}": value for name, value in versions().items()},
            **_commit(run),
        }
    )
    tracker.log_data([_dataset(data, split, prints, rows) for split in rows])
    settings = run.folder / "config.yaml"
    if safe != config:
        settings = write_text(run.folder / "tracked" / "config.yaml", render_config(safe))
    tracker.log_file(settings)


def log_end(
    tracker: Tracker,
    run: Run,
    splits: Sequence[Scored],
    thresholds: Array,
    summary: dict[str, Any],
    plots: Mapping[str, str],
) -> None:
    """Logs final scores with their intervals, where the bundle lies, and the files that the settings name.

    Args:
        tracker: Of the run.
        run: The run, its files written.
        splits: Metrics, scores and groups of validation and test.
        thresholds: `[n_outputs]`.
        summary: Of the data, test counted in.
        plots: Of the report, by name.
    """
    if tracker.uri is None:
        return
    wanted = run.config.tracking
    for metrics, scored, groups in splits:
        values = dict(metrics.values)
        for name, interval in build_intervals(scored, thresholds, groups).items():
            values |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        tracker.log_metrics({f"final/{metrics.split}/{key}": value for key, value in values.items()})
    rows, prints, data = summary["rows"], summary["fingerprints"], str(run.state.get("data", ""))
    tracker.log_data([_dataset(data, "test", prints, rows)])
    tracker.log_tags(
        {
            "smallprint.bundle": str(run.bundle.absolute()),
            "smallprint.report": str(run.report.absolute()),
            "smallprint.data.test.fingerprint": prints["test"],
            "smallprint.data.test.rows": str(rows["test"]),
        }
    )
    tracker.log_file(run.metrics)
    if wanted.log_plots:
        tracker.log_file(_write_plots(run, plots), "plots")
    if wanted.log_report and not wanted.log_examples:
        without = run.folder / "tracked" / "report.html"
        tracker.log_file(write_report(run, run.state.get("command", ""), quote=False, path=without, plots=plots))
    elif wanted.log_report:
        tracker.log_file(run.report)
    if wanted.log_examples:
        tracker.log_file(run.folder / scores_file("test"), "examples")
    if wanted.log_bundle:
        tracker.log_file(run.bundle, "bundle")


def _dataset(data: str, split: str, prints: dict[str, str], rows: dict[str, int]) -> dict[str, Any]:
    name = Path(data).stem or "data"
    return {"name": name, "split": split, "fingerprint": prints[split], "rows": rows[split], "source": data}


def _write_plots(run: Run, plots: Mapping[str, str]) -> Path:
    """Writes the report's plots into the run folder, where they stay until the store has them, and gives their folder."""
    from smallprint.evaluation.svg import standalone

    folder = run.folder / "tracked" / "plots"
    for name, plot in plots.items():
        write_text(folder / f"{name}.svg", standalone(plot))
    return folder


def _commit(run: Run) -> dict[str, str]:
    """Gives the commit of the folder that the training was started in, and whether files of it were changed."""
    commit = run.state.get("commit")
    if not commit:
        return {}
    changed = str(commit).endswith("-dirty")
    return {
        "mlflow.source.git.commit": str(commit).removesuffix("-dirty"),
        "smallprint.git.changed": str(changed).lower(),
    }


__all__ = ["log_end", "log_start", "open_tracker", "send_rest"]
