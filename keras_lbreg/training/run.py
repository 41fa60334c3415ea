"""One run: from a workload, an arm and a seed to a trained plain model."""

import dataclasses
import functools
import json
import math
import shutil
import time
import traceback
import warnings

import keras

from keras_lbreg.callbacks.average_replicas import AverageReplicas
from keras_lbreg.callbacks.dreg_path_selection import DRegPathSelection
from keras_lbreg.callbacks.learning_rate_logger import LearningRateLogger
from keras_lbreg.callbacks.multi_worker_backup import (
    MultiWorkerBackup,
    set_training_state,
    training_state,
)
from keras_lbreg.callbacks.reestimate_batch_normalization import (
    ReestimateBatchNormalization,
    reestimate_batch_norm,
)
from keras_lbreg.callbacks.weight_distance import WeightDistance
from keras_lbreg.data.npz import read_arrays
from keras_lbreg.files import write_file
from keras_lbreg.models._keras_trainer import (
    build_metrics,
    compile_arguments,
    fresh_automatic_names,
)
from keras_lbreg.models.surgery import rebuild
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient
from keras_lbreg.techniques import hooks
from keras_lbreg.training.arm import make_plan
from keras_lbreg.training.data import for_fit, inputs_to_estimate
from keras_lbreg.training.examine import build_plain, examine
from keras_lbreg.training.placement import ONE_DEVICE
from keras_lbreg.training.records import (
    BACKUP,
    JOURNAL,
    SUMMARY,
    Recorder,
    Stopwatch,
    parse,
    read_run,
    run_folder,
    write_summary,
)

# Steps that TensorFlow runs without going back to Python.
LONGEST_EXECUTION = 128

# Bytes of variables of a model that is kept compiled for other seeds.
LARGEST_KEPT = 2**24


class Run:
    """One arm of a workload with one seed.

    ```
    run = Run(workload, arm, seed=0, batch_size=4096)
    model = run.build()               # compiled, with the arm's techniques
    records = run.fit(model, folder)  # resumes what the folder holds
    plain = run.export(model)         # the user's network again, trained
    ```

    Args:
        workload: The `Workload`.
        arm: The `Arm`.
        seed: Non-negative integer, of weights, order and techniques.
        batch_size: The large batch size. Defaults to the workload's.
        placement: The `Placement`.
        settings: Hyperparameters by technique name, under the arm's own.
        programs: A dictionary in which models are kept compiled for the other
            seeds of an arm. Defaults to none.
        facts: The `Facts`. Defaults to those of the workload.
    """

    def __init__(
        self,
        workload,
        arm,
        seed=0,
        batch_size=None,
        placement=ONE_DEVICE,
        settings=None,
        programs=None,
        facts=None,
    ):
        self.workload = workload
        self.arm = arm
        self.seed = seed
        self.placement = placement
        self.facts = facts or examine(workload)
        self.plan = make_plan(
            workload, self.facts, arm, batch_size, placement, settings
        )
        self.programs = {} if programs is None else programs
        self._clock = time.perf_counter()

    @property
    def objective(self):
        """Name of what the run is judged by, such as `"val_accuracy"`."""
        return self.facts.objective

    def context(self, initial_step=0):
        """What the hooks of techniques know about the run."""
        return dataclasses.replace(
            self.plan.context, seed=self.seed, initial_step=initial_step
        )

    def build(self):
        """The model to train, compiled; a function of plan and seed alone."""
        self._clock = time.perf_counter()
        keras.utils.set_random_seed(self.seed)
        with self.placement.scope(), fresh_automatic_names():
            steps = self.plan.steps_per_epoch
            plain = build_plain(self.workload, steps)
            model = plain
            context = self.context()
            for hook, settings in hooks(self.plan.techniques, "model"):
                model = hook(model, settings, context)
            optimizer = plain.optimizer
            if optimizer.built:
                optimizer = copy_of(optimizer)
            optimizer.learning_rate = self.plan.regime.to_schedule(steps)
            if self.placement.replicas > 1 and not isinstance(
                optimizer, ReducedGradient
            ):
                # Keras would clip each replica's gradient before their sum.
                optimizer = ReducedGradient(optimizer)
            for hook, settings in hooks(self.plan.techniques, "optimizer"):
                optimizer = hook(optimizer, settings, context)
            arguments = compile_arguments(plain)
            arguments["optimizer"] = optimizer
            arguments["steps_per_execution"] = self._steps_per_execution()
            model.compile(**arguments)
            model.optimizer.build(model.trainable_variables)
        return model

    def _steps_per_execution(self):
        """The largest useful divisor of the steps between two records."""
        is_tensorflow = keras.backend.backend() == "tensorflow"
        if not is_tensorflow or self.placement.workers > 1:
            return 1
        steps = self.plan.record_every * self.plan.steps_per_epoch
        longest = min(steps, LONGEST_EXECUTION)
        return next(n for n in range(longest, 0, -1) if steps % n == 0)

    def fit(
        self,
        model,
        folder=None,
        begin=0.0,
        until=1.0,
        callbacks=(),
        on_epoch=None,
        final_only=False,
        on_resume=None,
    ):
        """Trains a model that `build` made, for a part of the regime.

        Args:
            model: The model.
            folder: Optional folder for records and a backup, from which an
                interrupted run goes on.
            begin: Fraction of the regime that the model has behind it.
            until: Fraction of the regime after which to stop.
            callbacks: More callbacks, before the run is recorded.
            on_epoch: Optional function of each new `EpochRecord`.
            final_only: Whether to validate at the end alone, and not with the
                moving statistics: the last record is the same, the others have
                no objective.
            on_resume: Optional function of the last `EpochRecord` of the run
                that goes on.

        Returns:
            A tuple of `EpochRecord`s, those of an earlier session too.
        """
        plan, placement, facts = self.plan, self.placement, self.facts
        every, start, records = plan.record_every, plan.epoch_at(begin), ()
        if folder is not None:
            records = placement.on_chief(lambda: resume(folder))
        if records:
            start = records[-1].epoch
            if on_resume is not None:
                on_resume(records[-1])
        end = max(start, plan.epoch_at(until))
        stopwatch = Stopwatch(records, self._clock)
        ours = [stopwatch, AverageReplicas()]
        if facts.normalizes:
            ours.append(ReestimateBatchNormalization(self._inputs, keep=False))
        for hook, settings in hooks(plan.techniques, "callbacks"):
            ours += hook(settings, self.context())
        frequency = end // every if final_only else 1
        for callback in ours:
            if isinstance(callback, DRegPathSelection):
                callback.frequency = frequency
        recorder = Recorder(
            self,
            None if folder is None else folder / JOURNAL,
            stopwatch,
            records,
            on_epoch,
            moving=facts.normalizes and not final_only,
        )
        ours += [WeightDistance(), LearningRateLogger(), *callbacks, recorder]
        if folder is not None:
            # Last: a backup never has an epoch that is not recorded. It also
            # restores a run that has been trained to its end.
            backup = MultiWorkerBackup(folder / BACKUP, delete_checkpoint=False)
            ours.append(backup)
        self._fit(
            model,
            for_fit(self, start),
            steps_per_epoch=every * plan.steps_per_epoch,
            initial_epoch=start // every,
            epochs=end // every,
            **facts.validation.for_fit(placement),
            validation_freq=frequency,
            callbacks=ours,
        )
        return tuple(recorder.records)

    def _fit(self, model, data, **arguments):
        with self.placement.scope(), warnings.catch_warnings():
            # Keras takes the number of per-replica batches of validation data
            # for the number of steps, and is surprised when there are fewer.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            model.fit(data, shuffle=False, verbose=0, **arguments)

    @functools.cached_property
    def _inputs(self):
        """What normalization statistics are estimated on."""
        return inputs_to_estimate(self)

    def prepare(self):
        """A model as `build` makes it, traced and compiled ahead.

        All that a seed decides about a model lies in its variables, so the
        program compiled for one seed is right for the others.
        """
        model = self.build()
        state = training_state(model)
        if self.arm.name in self.programs:
            model = self.programs[self.arm.name]
        else:
            steps = model.steps_per_execution
            # Several steps at once end early where there are no more data.
            data = for_fit(self, limit=None if steps == 1 else 1)
            # Keras itself does it on JAX, and where there are several replicas.
            if keras.backend.backend() == "tensorflow" and (
                self.placement.devices == 1
            ):
                build_metrics(model, data.element_spec)
            self._fit(model, data, steps_per_epoch=steps)
            if sum(value.nbytes for value in state) <= LARGEST_KEPT:
                self.programs[self.arm.name] = model
        set_training_state(model, state)
        return model

    def export(self, model):
        """The plain network of a trained model, compiled as the user's.

        Its normalization statistics are estimated anew from training data.
        """
        plain = model
        # The last change to the model is the first to be undone.
        for hook, _ in reversed(hooks(self.plan.techniques, "finalize")):
            plain = hook(plain)
        if plain is model:
            plain = rebuild(model, lambda layer: None)
        arguments = compile_arguments(self.facts.model)
        arguments["optimizer"] = copy_of(self.facts.model.optimizer)
        plain.compile(**arguments)
        if self.facts.normalizes:
            plain = reestimate_batch_norm(plain, self._inputs)
        # A saved model is loaded with an optimizer that has variables.
        plain.optimizer.build(plain.trainable_variables)
        return plain

    def train(
        self,
        path,
        display,
        model_path=None,
        state=None,
        on_end=None,
        **options,
    ):
        """The `RunResult` in the results folder `path`: trained or read.

        Args:
            path: The results folder.
            display: The `Display`.
            model_path: Optional `.keras` file for the trained plain model. A
                finished run without its copy of it is trained again.
            state: The `training_state` to begin with. Defaults to the seed's.
            on_end: Optional function of the trained model and the last
                `EpochRecord`, before the run counts as finished.
            options: `begin`, `until`, `callbacks` and `final_only` of `fit`.

        Returns:
            A `RunResult`, on every worker. One that failed has a reason;
            nothing is raised for it, but where several workers train together.
        """
        folder = run_folder(path, self.arm.name, self.seed)
        own_copy = None if model_path is None else folder / "model.keras"
        on_chief = self.placement.on_chief
        result = on_chief(lambda: self._ended(path, folder, own_copy))
        skipped = result is not None and result.status != "damaged"
        if not skipped:
            if result is not None:
                display.say(
                    f"Damaged, trained again: {self.arm.title}, seed "
                    f"{self.seed}: {result.reason}"
                )
            display.run_started(self)
            if "callbacks" not in options:
                options["callbacks"] = self._tensorboard(path)
            self._train(folder, display, own_copy, state, on_end, options)
            result = on_chief(lambda: self._read(path))
        display.run_ended(self, result, skipped)
        if own_copy is not None and result.status == "finished":
            on_chief(lambda: write_file(model_path, own_copy.read_bytes()))
        return result

    def _read(self, path):
        return read_run(path, self.arm.name, self.seed, self.facts.maximize)

    def _ended(self, path, folder, own_copy):
        """The ended run of a folder, or a damaged one; others are to train."""
        result = self._read(path)
        if result is None or result.status == "running":
            return None
        # A crash (no memory, a full disk) is tried again.
        if result.status == "failed" and result.summary.get("retry"):
            (folder / SUMMARY).unlink()
            return None
        has_model = own_copy is None or own_copy.is_file()
        if result.status == "failed" or (
            result.status == "finished" and has_model
        ):
            return result
        shutil.rmtree(folder)
        return result if result.status == "damaged" else None

    def _train(self, folder, display, own_copy, state, on_end, options):
        chief = self.placement.is_chief
        try:
            model = self.prepare()
            if state is not None:
                set_training_state(model, state)
            records = self.fit(
                model,
                folder,
                on_epoch=display.epoch,
                on_resume=display.run_resumed,
                **options,
            )
        except Exception as error:
            self.programs.pop(self.arm.name, None)
            reason = in_one_line(error)
            if chief:
                text = "".join(traceback.format_exception(error))
                write_file(folder / "error.txt", text)
                write_summary(folder, "failed", reason, retry=True)
            if self.placement.workers > 1:
                # The others wait for this worker in vain: no run can follow.
                raise RuntimeError(
                    f"Worker {self.placement.worker} stopped ({reason}). Start "
                    "all workers again with the same command: they go on from "
                    "the last saved epoch."
                ) from error
            return
        reason = failure_of(records)
        if own_copy is not None and reason is None:
            plain = self.export(model)
            if chief:
                save_model(plain, own_copy)
        if on_end is not None and reason is None:
            on_end(model, records[-1])
        if chief:
            status = "finished" if reason is None else "failed"
            write_summary(folder, status, reason)
            (folder / BACKUP).unlink(missing_ok=True)

    def _tensorboard(self, path):
        """Keras's own callback where TensorFlow writes its logs."""
        backend = keras.backend.backend()
        if backend != "tensorflow" or not self.placement.is_chief:
            return []
        folder = path / "tensorboard" / self.arm.name / f"seed-{self.seed}"
        return [keras.callbacks.TensorBoard(folder, write_graph=False)]


def resume(folder):
    """The records of a folder's run up to the epoch that its backup has.

    Later ones are dropped, and all where they and the backup do not fit: these
    epochs are trained again, with the same outcome.
    """
    backup, journal = folder / BACKUP, folder / JOURNAL
    (folder / "error.txt").unlink(missing_ok=True)
    records = ()
    if backup.is_file():
        try:
            epoch = int(read_arrays(backup)["epoch"])
            records = parse(journal, journal.read_bytes())[:epoch]
        except (ValueError, TypeError, KeyError, OSError):
            epoch = 0
        if not records or len(records) < epoch:
            records = ()
            backup.unlink()
    lines = [json.dumps(r.to_json(), allow_nan=False) + "\n" for r in records]
    write_file(journal, "".join(lines))
    return records


def failure_of(records):
    """Why a run failed by itself, or `None`."""
    last = records[-1]
    loss = last.logs.get("loss", 0.0)
    if math.isfinite(loss):
        return None
    return f"the loss became {loss} in epoch {last.epoch}"


def copy_of(optimizer):
    """An optimizer of the same configuration, without variables."""
    return type(optimizer).from_config(optimizer.get_config())


def save_model(model, path):
    """Writes a `.keras` file in one piece."""
    partial = path.with_name(f".{path.stem}.partial.keras")
    model.save(partial)
    partial.replace(path)


def in_one_line(error):
    """An error's kind and first line."""
    text = str(error).strip() or "no message"
    if text.startswith("Graph execution error"):
        # TensorFlow says where it was before it says what has happened.
        text = text.split("\n\n")[-1].strip() or text
    return f"{type(error).__name__}: {text.splitlines()[0]}"
