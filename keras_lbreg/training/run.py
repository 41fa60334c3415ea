"""One run: from a workload, an arm and a seed to a trained plain model."""

import dataclasses
import json
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
    compile_arguments,
    fresh_automatic_names,
)
from keras_lbreg.models.surgery import rebuild
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient
from keras_lbreg.techniques import Context, hooks
from keras_lbreg.training.data import LARGEST_BATCH, Estimated
from keras_lbreg.training.examine import build_plain, examine
from keras_lbreg.training.placement import ONE_DEVICE
from keras_lbreg.training.plan import make_plan
from keras_lbreg.training.recorder import Recorder, Stopwatch
from keras_lbreg.training.records import (
    BACKUP,
    JOURNAL,
    SUMMARY,
    EpochRecord,
    RunResult,
    parse,
    read_run,
    run_folder,
    write_summary,
)

# Steps that TensorFlow runs without going back to Python.
LONGEST_EXECUTION = 128

# Bytes of variables of the models that are kept compiled for other seeds.
KEPT = 2**28


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
        self.programs = programs
        self._estimated = None
        self._clock = time.perf_counter()

    @property
    def objective(self):
        """Name of what the run is judged by, such as `"val_accuracy"`."""
        return self.facts.objective

    def context(self, initial_step=0):
        """What the hooks of techniques know about the run."""
        return Context(
            seed=self.seed,
            base_batch_size=self.plan.base_batch_size,
            batch_size=self.plan.batch_size,
            initial_step=initial_step,
            replicas=self.placement.replicas,
            validation_data=self.facts.validation.values(self.placement),
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
            model.compile(
                **{
                    **compile_arguments(plain),
                    "optimizer": optimizer,
                    "steps_per_execution": self._steps_per_execution(),
                }
            )
            model.optimizer.build(model.trainable_variables)
        return model

    def fit(
        self,
        model,
        folder=None,
        begin=0.0,
        until=1.0,
        callbacks=(),
        on_epoch=None,
        final_only=False,
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

        Returns:
            A tuple of `EpochRecord`s, those of an earlier session too.
        """
        plan, placement = self.plan, self.placement
        start = plan.epoch_at(begin)
        if folder is not None:
            start, records = placement.on_chief(lambda: resume(folder, start))
            records = tuple(map(EpochRecord.from_json, records))
        else:
            records = ()
        end = plan.epoch_at(until)
        if start >= end:
            if records:
                self._restore(model, folder)
            return records
        facts, every = self.facts, plan.record_every
        stopwatch = Stopwatch(records, self._clock)
        recorder = Recorder(
            self,
            None if folder is None else folder / JOURNAL,
            stopwatch,
            records,
            on_epoch,
            moving=facts.normalizes and not final_only,
        )
        ours = [stopwatch, AverageReplicas()]
        if facts.normalizes:
            ours.append(
                ReestimateBatchNormalization(self._inputs(), keep=False)
            )
        context = self.context()
        for hook, settings in hooks(plan.techniques, "callbacks"):
            ours += hook(settings, context)
        frequency = end // every if final_only else 1
        for callback in ours:
            if isinstance(callback, DRegPathSelection):
                callback.frequency = frequency
        ours += [WeightDistance(), LearningRateLogger(), *callbacks, recorder]
        if folder is not None:
            # Last: a backup never has an epoch that is not recorded.
            backup = MultiWorkerBackup(folder / BACKUP, delete_checkpoint=False)
            ours.append(backup)
        with placement.scope(), warnings.catch_warnings():
            # Keras takes the number of per-replica batches of validation data
            # for the number of steps, and is surprised when there are fewer.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            model.fit(
                facts.train.for_fit(self, start),
                steps_per_epoch=every * plan.steps_per_epoch,
                initial_epoch=start // every,
                epochs=end // every,
                **facts.validation.for_fit(placement),
                validation_freq=frequency,
                shuffle=False,
                verbose=0,
                callbacks=ours,
            )
        return tuple(recorder.records)

    def _restore(self, model, folder):
        """Gives a model the state of a run that was trained to its end."""
        backup = MultiWorkerBackup(folder / BACKUP, delete_checkpoint=False)
        backup.set_model(model)
        with self.placement.scope():
            backup.on_train_begin()
        backup.on_train_end()

    def evaluate(self, model):
        """The `val_...` results of the plain network of a trained model."""
        return self.facts.validation.evaluate(self.export(model))

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
        optimizer = copy_of(self.facts.model.optimizer)
        plain.compile(**{**arguments, "optimizer": optimizer})
        if self.facts.normalizes:
            plain = reestimate_batch_norm(plain, self._inputs())
        # A saved model is loaded with an optimizer that has variables.
        plain.optimizer.build(plain.trainable_variables)
        return plain

    def train(
        self,
        path,
        display,
        model_path=None,
        part=(0.0, 1.0),
        state=None,
        callbacks=None,
        final_only=False,
        on_end=None,
    ):
        """The run in the results folder `path`: resumed, recorded, or skipped.

        Args:
            path: The results folder.
            display: The `Display`.
            model_path: Optional `.keras` file for the trained plain model. A
                finished run without its copy is trained again.
            part: Fractions of the regime between which to train.
            state: The `training_state` to begin with. Defaults to the seed's.
            callbacks: More callbacks. Defaults to Keras's for TensorBoard.
            final_only: See `fit`.
            on_end: Optional function of the trained model and the last
                `EpochRecord`, before the run counts as finished.

        Returns:
            A `RunResult`, on every worker. One that failed has a reason;
            nothing is raised for it, but where several workers train together.
        """
        folder = run_folder(path, self.arm.name, self.seed)
        own_copy = None if model_path is None else folder / "model.keras"
        on_chief = self.placement.on_chief
        before = on_chief(lambda: self._before(path, folder, own_copy, part))
        if before is not None and before["status"] != "damaged":
            result = RunResult.from_json(before)
            display.run_ended(self, result, skipped=True)
        else:
            if before is not None:
                display.say(
                    f"Damaged, trained again: {self.arm.title}, seed "
                    f"{self.seed}: {before['reason']}"
                )
            if callbacks is None:
                callbacks = self._tensorboard(path)
            arguments = (*part, callbacks, display.epoch, final_only)
            result = self._train(
                path, folder, display, own_copy, state, arguments, on_end
            )
            display.run_ended(self, result)
        if model_path is not None and result.status == "finished":
            on_chief(lambda: copy_file(own_copy, model_path))
        return result

    def _before(self, path, folder, own_copy, part):
        """An ended run as plain data, a damaged one, or `None`."""
        result = read_run(path, self.arm.name, self.seed, self.facts.maximize)
        if result is None:
            return None
        failed = result.status == "failed"
        ended = result.status == "finished" or (
            # A crash (no memory, a full disk) is tried again.
            failed and not result.summary.get("retry")
        )
        has_model = own_copy is None or failed or own_copy.is_file()
        whole = self._is_whole(result, *part)
        if ended and result.status == "finished" and not whole:
            result = dataclasses.replace(
                result,
                status="damaged",
                reason="its records do not reach its last epoch",
                epochs=(),
            )
        if (ended and has_model) or result.status == "damaged":
            if result.status == "damaged":
                shutil.rmtree(folder)
            return result.to_json()
        if ended:
            shutil.rmtree(folder)
        (folder / SUMMARY).unlink(missing_ok=True)
        return None

    def _is_whole(self, result, begin, until):
        every, start = self.plan.record_every, self.plan.epoch_at(begin)
        return [r.epoch for r in result.epochs] == list(
            range(start + every, self.plan.epoch_at(until) + 1, every)
        )

    def _train(self, path, folder, display, own_copy, state, arguments, on_end):
        clock = time.monotonic()
        display.run_started(self)
        try:
            model = self.prepare()
            if state is not None:
                set_training_state(model, state)
            records = self.fit(model, folder, *arguments)
        except Exception as error:
            if self.programs is not None:
                self.programs.pop(self.arm.name, None)
            if self.placement.is_chief:
                folder.mkdir(parents=True, exist_ok=True)
                text = "".join(traceback.format_exception(error))
                write_file(folder / "error.txt", text)
                write_summary(folder, "failed", in_one_line(error), retry=True)
            if self.placement.workers > 1:
                # The others wait for this worker in vain: no run can follow.
                raise RuntimeError(
                    f"Worker {self.placement.worker} stopped "
                    f"({in_one_line(error)}). Start all workers again with the "
                    "same command: they go on from the last saved epoch."
                ) from error
            return self._read(path)
        reason = failure_of(records)
        status = "finished" if reason is None else "failed"
        if own_copy is not None and reason is None:
            plain = self.export(model)
            if self.placement.is_chief:
                save_model(plain, own_copy)
        if on_end is not None and reason is None:
            on_end(model, records[-1])

        def end():
            maximize = self.facts.maximize
            write_summary(folder, status, reason, maximize=maximize)
            (folder / BACKUP).unlink(missing_ok=True)
            result = self._read(path)
            summary = {**result.summary, "session": time.monotonic() - clock}
            return dataclasses.replace(result, summary=summary).to_json()

        return RunResult.from_json(self.placement.on_chief(end))

    def _tensorboard(self, path):
        """Keras's own callback where TensorFlow writes its logs."""
        backend = keras.backend.backend()
        if backend != "tensorflow" or not self.placement.is_chief:
            return []
        folder = path / "tensorboard" / self.arm.name / f"seed-{self.seed}"
        return [keras.callbacks.TensorBoard(folder, write_graph=False)]

    def _read(self, path):
        return read_run(path, self.arm.name, self.seed, self.facts.maximize)

    def prepare(self):
        """A model as `build` makes it, traced and compiled ahead.

        All that a seed decides about a model lies in its variables, so the
        program compiled for one seed is right for the others.
        """
        model = self.build()
        state = training_state(model)
        kept = (self.programs or {}).get(self.arm.name)
        if kept is not None:
            model = kept
        else:
            self._compile_ahead(model)
            if self.programs is not None:
                size = sum(value.nbytes for value in state)
                if size <= KEPT // 16:
                    self.programs[self.arm.name] = model
        set_training_state(model, state)
        return model

    def _compile_ahead(self, model):
        """Traces one training and one validation step; changes the state."""
        steps = model.steps_per_execution
        with self.placement.scope(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Your input ran out of data")
            model.fit(
                # Several steps at once end early where there are no more data.
                self.facts.train.for_fit(self, limit=None if steps == 1 else 1),
                steps_per_epoch=steps,
                **self.facts.validation.for_fit(self.placement, LARGEST_BATCH),
                shuffle=False,
                verbose=0,
            )

    def _inputs(self):
        """What normalization statistics are estimated on."""
        if self._estimated is None:
            self._estimated = Estimated(self.facts.train, self)
        return self._estimated

    def _steps_per_execution(self):
        """The largest useful divisor of the steps between two records."""
        if (
            keras.backend.backend() != "tensorflow"
            or self.placement.workers > 1
        ):
            return 1
        steps = self.plan.record_every * self.plan.steps_per_epoch
        longest = min(steps, LONGEST_EXECUTION)
        return next(n for n in range(longest, 0, -1) if steps % n == 0)


def resume(folder, start):
    """The epoch that a folder's backup has, and the records up to it.

    What was recorded later is dropped: those epochs are trained again, with
    the same outcome. What does not fit together is dropped whole.
    """
    backup, journal = folder / BACKUP, folder / JOURNAL
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    records = []
    epoch = 0
    if backup.is_file():
        try:
            content = read_arrays(backup)
            epoch = int(content["epoch"])
        except (ValueError, TypeError, KeyError, OSError):
            epoch = 0
    if epoch:
        try:
            records = list(parse(journal, journal.read_bytes()))
        except (ValueError, OSError):
            records = []
        if len(records) < epoch:
            epoch, records = 0, []
    records = records[:epoch]
    if not epoch:
        backup.unlink(missing_ok=True)
    lines = [json.dumps(r.to_json(), allow_nan=False) + "\n" for r in records]
    write_file(journal, "".join(lines))
    epoch = records[-1].epoch if records else start
    return epoch, [record.to_json() for record in records]


def failure_of(records):
    """Why a run failed by itself, or `None`."""
    last = records[-1]
    loss = last.logs.get("loss", 0.0)
    if loss != loss or loss in (float("inf"), float("-inf")):
        return f"the loss became {loss} in epoch {last.epoch}"
    return None


def copy_of(optimizer):
    """An optimizer of the same configuration, without variables."""
    return type(optimizer).from_config(optimizer.get_config())


def save_model(model, path):
    """Writes a `.keras` file in one piece."""
    partial = path.with_name(f".{path.stem}.partial.keras")
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(partial)
    partial.replace(path)


def copy_file(source, path):
    write_file(path, source.read_bytes())


def in_one_line(error):
    """An error's kind and first line."""
    text = str(error).strip() or "no message"
    if text.startswith("Graph execution error"):
        # TensorFlow says where it was before it says what has happened.
        text = text.split("\n\n")[-1].strip() or text
    return f"{type(error).__name__}: {text.splitlines()[0]}"
