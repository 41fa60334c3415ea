"""Train one arm with one seed."""

import shutil
import time
import traceback

from keras_lbreg.experiments.choose_strategy import choose_strategy
from keras_lbreg.experiments.events import RunEnded
from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.experiments.model_file import (
    check_model_path,
    copy_model,
    save_model,
)
from keras_lbreg.experiments.results import (
    RunResult,
    best_accuracy,
    read_run,
    run_dir,
    tensorboard_dir,
)


def run(
    experiment,
    arm,
    seed=0,
    on_event=None,
    fresh=False,
    model_path=None,
    continue_from=None,
):
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
        continue_from: Another results folder, in which the run of the same
            arm and seed stopped early (`Experiment.until`). A run that has
            not begun here goes on from there, and comes to the same numbers
            as one that never stopped.

    Returns:
        A `RunResult`, on every worker. A run that failed has the status
        `"failed"` and a reason; nothing is raised for it, but where several
        workers train together.

    Raises:
        ValueError: The arm or a size makes no sense, the folder holds the
            results of another configuration or a damaged file, or there is
            nothing to continue from.
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

    # Before the folder is touched.
    placement = choose_strategy(experiment.strategy, experiment.devices)
    if model_path is not None:
        placement.on_chief(lambda: check_model_path(model_path))
    on_event = heard(on_event, placement)
    with Workspace(experiment, fresh, arms=[arm], seeds=[seed]) as workspace:
        [plan] = workspace.plans
        workspace.announce_strategy(on_event)
        if continue_from is not None:
            placement.on_chief(
                lambda: adopt(workspace, plan, seed, continue_from)
            )
        own_copy = run_dir(workspace.path, arm, seed) / "model.keras"
        result = run_plan(
            workspace,
            plan,
            seed,
            on_event,
            own_copy if model_path is not None else None,
        )
        if model_path is not None and result.status == "finished":
            placement.on_chief(lambda: copy_model(own_copy, model_path))
        return result


def run_plan(workspace, plan, seed, on_event, model_path=None):
    """Run, resume or skip one plan with one seed; failures are recorded.

    Where `model_path` is given, a run that finished has its model there.
    """
    from keras_lbreg.experiments.train import Start, finalize, train

    on_chief = workspace.placement.on_chief
    before, start = on_chief(
        lambda: find_out(workspace, plan.arm.name, seed, model_path)
    )
    if start is None:
        result = RunResult.from_json(before)
        on_event(RunEnded(result, skipped=True))
        return result
    start = Start.from_plain(start)
    clock = time.monotonic()
    try:
        model, reason = train(workspace, plan, seed, start, on_event)
    except Exception as error:
        workspace.programs.forget(plan)
        if workspace.placement.is_chief:
            record_crash(workspace, plan, seed, error, time.monotonic() - clock)
        if workspace.placement.workers > 1:
            # The others wait for this worker in vain: no run can follow.
            raise stopped(workspace.placement, error) from error
        result = read_run(workspace.path, plan.arm.name, seed)
        on_event(RunEnded(result))
        return result
    seconds = time.monotonic() - clock

    def end():
        write_summary(workspace, plan, seed, reason, False, seconds)
        if reason is not None or plan.last_epoch == plan.epochs:
            start.checkpoint.delete()
        return read_run(workspace.path, plan.arm.name, seed).to_json()

    result = RunResult.from_json(on_chief(end))
    on_event(RunEnded(result))
    if model_path is not None and reason is None:
        # After the run has ended: a full disk does not make it a failed one.
        on_chief(lambda: save_model(finalize(model, plan), model_path))
    return result


def adopt(workspace, plan, seed, continue_from):
    """Begin a run of which there is nothing yet with one from elsewhere."""
    from keras_lbreg.experiments.adopt_run import adopt_run

    if not run_dir(workspace.path, plan.arm.name, seed).exists():
        adopt_run(continue_from, workspace.path, workspace.manifest, plan, seed)


def find_out(workspace, arm, seed, model_path):
    """How far a run has come.

    Returns:
        The pair `(result, start)`: an ended run's `RunResult` and `None`, or
        `None` and where it goes on, a `Start`; each as plain data.
    """
    from keras_lbreg.experiments.train import find_start

    before = read_run(workspace.path, arm, seed)
    if before is not None and ended_for_good(before):
        has_model = model_path is None or model_path.is_file()
        if has_model or before.status == "failed":
            return before.to_json(), None
        delete_run(workspace, arm, seed)
    folder = run_dir(workspace.path, arm, seed)
    folder.mkdir(parents=True, exist_ok=True)
    # Damaged files raise here: they are not the run's own failure, and
    # nothing has been changed yet.
    start = find_start(folder)
    # A run that crashed goes on from its checkpoint.
    (folder / "summary.json").unlink(missing_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    return None, start.to_plain()


def record_crash(workspace, plan, seed, error, seconds):
    """Write down that a run crashed, to be tried again."""
    folder = run_dir(workspace.path, plan.arm.name, seed)
    text = "".join(traceback.format_exception(error))
    (folder / "error.txt").write_text(text, "utf-8")
    write_summary(workspace, plan, seed, in_one_line(error), True, seconds)


def in_one_line(error):
    text = str(error).strip() or "no message"
    if text.startswith("Graph execution error"):
        # TensorFlow says where it was before it says what has happened.
        text = text.split("\n\n")[-1].strip() or text
    return f"{type(error).__name__}: {text.splitlines()[0]}"


def stopped(placement, error):
    return RuntimeError(
        f"Worker {placement.worker} of {placement.workers} stopped "
        f"({in_one_line(error)}). If another worker has died, TensorFlow "
        "cannot take it back: start all of them again with the same command, "
        "and they go on from the last saved epoch."
    )


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


def heard(on_event, placement):
    """`on_event` where it is wanted: given, and on the chief."""
    if on_event is None or not placement.is_chief:
        return ignore
    return on_event


def ignore(event):
    """Nobody listens to the events."""
