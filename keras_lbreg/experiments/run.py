"""Train one arm with one seed."""

import shutil
import time
import traceback

from keras_lbreg.experiments.events import RunEnded, RunStarted
from keras_lbreg.experiments.journal import read_journal, rewrite_journal
from keras_lbreg.experiments.results import (
    EpochRecord,
    read_run,
    run_dir,
    tensorboard_dir,
    write_json,
)


def run(experiment, arm, seed=0, on_event=None, fresh=False, model_path=None):
    """Train one arm with one seed and record it; resumes what was begun.

    Args:
        experiment: An `Experiment`.
        arm: Name of the arm.
        seed: Seed of the run.
        on_event: Called with each event, see `compare`.
        fresh: Whether to delete earlier results of the same folder first.
        model_path: `.keras` file to save the trained plain model in. A
            finished run whose model is not there is trained again.

    Returns:
        A `RunResult`.

    Raises:
        ValueError: The arm or a size makes no sense, or the folder holds the
            results of another configuration.

    Example:

    >>> result = run(Experiment("digits"), "lr_gbn", model_path="model.keras")
    >>> result.final_val_accuracy

    Reference: `keras_lbreg.experiments.compare` runs all arms.
    """
    from keras_lbreg.experiments.workspace import Workspace

    on_event = on_event or ignore
    with Workspace(experiment, fresh, arms=[arm], seeds=[seed]) as workspace:
        [plan] = workspace.plans
        return run_plan(workspace, plan, seed, on_event, model_path)


def run_plan(workspace, plan, seed, on_event, model_path=None):
    """Run, resume or skip one plan with one seed; failures are recorded."""
    name = plan.arm.name
    done = read_run(workspace.path, name, seed)
    model_missing = model_path is not None and not model_path_exists(model_path)
    if done is not None and ended_for_good(done) and not model_missing:
        on_event(RunEnded(done, skipped=True))
        return done
    folder = run_dir(workspace.path, name, seed)
    if done is not None and done.status != "running":
        shutil.rmtree(folder)
        shutil.rmtree(
            tensorboard_dir(workspace.path, name, seed), ignore_errors=True
        )
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    # What went wrong, and whether another attempt could go better.
    try:
        reason, retry = (
            train(workspace, plan, seed, on_event, model_path),
            False,
        )
    except Exception as error:
        (folder / "error.txt").write_text(traceback.format_exc(), "utf-8")
        first_line = (str(error).strip() or "no message").splitlines()[0]
        reason, retry = f"{type(error).__name__}: {first_line}", True
    write_summary(workspace, plan, seed, reason, retry, start)
    result = read_run(workspace.path, name, seed)
    on_event(RunEnded(result))
    return result


def train(workspace, plan, seed, on_event, model_path):
    """Train from the last checkpoint on; returns why it failed, or `None`."""
    import keras

    from keras_lbreg.callbacks.learning_rate_logger import LearningRateLogger
    from keras_lbreg.callbacks.weight_distance import WeightDistance
    from keras_lbreg.experiments import build
    from keras_lbreg.experiments.checkpoint import (
        Checkpoint,
        set_training_state,
        training_state,
    )
    from keras_lbreg.experiments.recorder import Recorder
    from keras_lbreg.experiments.stopwatch import Stopwatch
    from keras_lbreg.experiments.tensorboard_log import TensorBoardLog

    dataset = workspace.dataset
    folder = run_dir(workspace.path, plan.arm.name, seed)
    checkpoint = Checkpoint(folder / "checkpoint.npz")
    saved = checkpoint.load()
    epoch = saved[1]["epoch"] if saved else 0
    records = earlier_records(folder / "epochs.jsonl", epoch)
    on_event(
        RunStarted(
            plan.arm.name, seed, epoch, plan.epochs, tuple(plan.changes())
        )
    )

    model = build.build_model(plan, dataset, seed)
    distance = WeightDistance()
    state = training_state(model)
    build.compile_ahead(model, plan, dataset, seed)
    if saved:
        state = saved[0]
        distance.set_state(saved[2])
    set_training_state(model, state)

    log = None
    if workspace.experiment.tensorboard and (
        keras.backend.backend() == "tensorflow"
    ):
        log = TensorBoardLog(
            tensorboard_dir(workspace.path, plan.arm.name, seed)
        )
    stopwatch = Stopwatch(records[-1].wall_time if records else 0.0)
    recorder = Recorder(
        plan,
        seed,
        folder / "epochs.jsonl",
        checkpoint,
        stopwatch,
        distance,
        records,
        on_event,
        log,
    )
    model.fit(
        build.build_data(plan, dataset, seed, initial_epoch=epoch),
        steps_per_epoch=plan.record_every * plan.steps_per_epoch,
        initial_epoch=epoch // plan.record_every,
        epochs=plan.epochs // plan.record_every,
        validation_data=(dataset.x_val, dataset.y_val),
        validation_batch_size=build.VALIDATION_BATCH_SIZE,
        shuffle=False,
        verbose=0,
        callbacks=[
            stopwatch,
            *build.build_callbacks(plan, dataset, seed),
            distance,
            LearningRateLogger(),
            recorder,
        ],
    )
    if log is not None:
        log.close()
    if recorder.failure is None and model_path is not None:
        for finalize, _ in plan.hooks("finalize"):
            model = finalize(model)
        model.save(model_path)
    checkpoint.delete()
    return recorder.failure


def earlier_records(journal, epoch):
    """The journal's records up to `epoch`; what lies behind is forgotten."""
    lines = read_journal(journal)
    records = [
        EpochRecord.from_json(line) for line in lines if line["epoch"] <= epoch
    ]
    if epoch and (not records or records[-1].epoch != epoch):
        raise ValueError(
            f"Cannot resume: {journal} does not reach the checkpoint's epoch "
            f"{epoch}. Nothing was changed. Delete the run's folder to begin "
            "it anew, or start again with `--fresh`."
        )
    rewrite_journal(journal, [record.to_json() for record in records])
    return records


def write_summary(workspace, plan, seed, reason, retry, start):
    """Write `summary.json`, which marks the run as ended."""
    folder = run_dir(workspace.path, plan.arm.name, seed)
    result = read_run(workspace.path, plan.arm.name, seed)
    records = result.epochs if result else ()
    best = max(records, key=lambda r: r.val_accuracy, default=None)
    last = records[-1].to_json() if records else {}
    write_json(
        folder / "summary.json",
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
            "best_val_accuracy": best and best.to_json()["val_accuracy"],
            "best_epoch": best and best.epoch,
            "wall_time": last.get("wall_time", 0.0),
            "session_time": time.monotonic() - start,
        },
    )


def ended_for_good(result):
    """Whether to leave a run alone: finished, or failed for a reason of its
    own. A crash (no memory, a full disk) is tried again."""
    return result.status == "finished" or (
        result.status == "failed" and not result.summary.get("retry")
    )


def model_path_exists(model_path):
    import pathlib

    return pathlib.Path(model_path).is_file()


def ignore(event):
    """Nobody listens to the events."""
