"""Train one arm with one seed."""

import shutil
import time
import traceback

from keras_lbreg.experiments.events import RunEnded
from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.experiments.model_file import (
    check_model_path,
    copy_model,
    save_model,
)
from keras_lbreg.experiments.results import (
    best_accuracy,
    read_run,
    run_dir,
    tensorboard_dir,
)


def run(experiment, arm, seed=0, on_event=None, fresh=False, model_path=None):
    """Train one arm with one seed and record it; resumes what was begun.

    Args:
        experiment: An `Experiment`.
        arm: Name of the arm.
        seed: Seed of the run.
        on_event: Called with each event, see `compare`.
        fresh: Whether to delete earlier results of the same folder first.
        model_path: `.keras` file to save the trained plain model in. The
            run keeps a copy in its own folder; a finished run that has none
            (`compare` keeps no models) is trained again.

    Returns:
        A `RunResult`. A run that failed has the status `"failed"` and a
        reason; nothing is raised for it.

    Raises:
        ValueError: The arm or a size makes no sense, or the folder holds the
            results of another configuration or a damaged file.
        OSError: The model cannot be written. Nothing was trained, or the run
            is finished and the same call tries to write it once more.

    Example:

    >>> experiment = keras_lbreg.experiments.Experiment("digits")
    >>> result = keras_lbreg.experiments.run(
    ...     experiment, "lr_gbn", model_path="model.keras"
    ... )
    >>> result.final_val_accuracy

    Reference: `keras_lbreg.experiments.compare` runs all arms.
    """
    from keras_lbreg.experiments.workspace import Workspace

    on_event = on_event or ignore
    if model_path is not None:
        check_model_path(model_path)
    with Workspace(experiment, fresh, arms=[arm], seeds=[seed]) as workspace:
        [plan] = workspace.plans
        own_copy = run_dir(workspace.path, arm, seed) / "model.keras"
        result = run_plan(
            workspace,
            plan,
            seed,
            on_event,
            own_copy if model_path is not None else None,
        )
        if model_path is not None and result.status == "finished":
            copy_model(own_copy, model_path)
        return result


def run_plan(workspace, plan, seed, on_event, model_path=None):
    """Run, resume or skip one plan with one seed; failures are recorded.

    Where `model_path` is given, a run that finished has its model there.
    """
    from keras_lbreg.experiments.train import finalize, find_start, train

    name = plan.arm.name
    before = read_run(workspace.path, name, seed)
    if before is not None and ended_for_good(before):
        has_model = model_path is None or model_path.is_file()
        if has_model or before.status == "failed":
            on_event(RunEnded(before, skipped=True))
            return before
        delete_run(workspace, name, seed)
    folder = run_dir(workspace.path, name, seed)
    folder.mkdir(parents=True, exist_ok=True)
    # Damaged files raise here: they are not the run's own failure, and
    # nothing has been changed yet.
    start = find_start(folder)
    # A run that crashed goes on from its checkpoint.
    (folder / "summary.json").unlink(missing_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    clock = time.monotonic()
    model, retry = None, False
    try:
        model, reason = train(workspace, plan, seed, start, on_event)
    except Exception as error:
        (folder / "error.txt").write_text(traceback.format_exc(), "utf-8")
        first_line = (str(error).strip() or "no message").splitlines()[0]
        reason = f"{type(error).__name__}: {first_line}"
        retry = True
    seconds = time.monotonic() - clock
    write_summary(workspace, plan, seed, reason, retry, seconds)
    if not retry:
        start.checkpoint.delete()
    result = read_run(workspace.path, name, seed)
    on_event(RunEnded(result))
    if model_path is not None and reason is None:
        # After the run has ended: a full disk does not make it a failed one.
        save_model(finalize(model, plan), model_path)
    return result


def ended_for_good(result):
    """Whether to leave a run alone: finished, or failed by itself.

    A crash (no memory, a full disk) is tried again, a divergence is not.
    """
    return result.status == "finished" or (
        result.status == "failed" and not result.summary.get("retry")
    )


def delete_run(workspace, arm, seed):
    """Delete what there is of one run."""
    shutil.rmtree(run_dir(workspace.path, arm, seed))
    logs = tensorboard_dir(workspace.path, arm, seed)
    shutil.rmtree(logs, ignore_errors=True)


def write_summary(workspace, plan, seed, reason, retry, seconds):
    """Write `summary.json`, which marks the run as ended."""
    result = read_run(workspace.path, plan.arm.name, seed)
    records = result.epochs if result else ()
    last = records[-1].to_json() if records else {}
    best = best_accuracy(records)
    best_epochs = [r.epoch for r in records if r.val_accuracy == best]
    write_json(
        run_dir(workspace.path, plan.arm.name, seed) / "summary.json",
        {
            "arm": plan.arm.name,
            "seed": seed,
            "status": "finished" if reason is None else "failed",
            "reason": reason,
            "retry": retry,
            "epochs": last.get("epoch", 0),
            "updates": last.get("updates", 0),
            "samples": last.get("samples", 0),
            "final_val_accuracy": last.get("val_accuracy"),
            "best_val_accuracy": best if best_epochs else None,
            "best_epoch": best_epochs[0] if best_epochs else None,
            "wall_time": last.get("wall_time", 0.0),
            "session_time": seconds,
        },
    )


def ignore(event):
    """Nobody listens to the events."""
