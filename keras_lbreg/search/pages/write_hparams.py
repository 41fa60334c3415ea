"""All trials for TensorBoard's HParams tab."""

import math
import pathlib
import shutil
import time

import keras

from keras_lbreg.search.pages.dimensions import settings_of

METRIC = "val_accuracy"


def write_hparams(results):
    """Write every ended trial as a session of TensorBoard's HParams tab.

    A hyperparameter has a value in the trials alone that have it. Only under
    the TensorFlow backend; elsewhere nothing is written.

    Args:
        results: A `SearchResults`.

    Returns:
        The folder, or `None` where nothing was written.

    Example:

    >>> write_hparams(read_search("runs/tune-digits"))
    PosixPath('runs/tune-digits/tensorboard')

    Reference: https://www.tensorflow.org/tensorboard/hyperparameter_tuning_with_hparams
    """
    if keras.backend.backend() != "tensorflow":
        return None
    from tensorboard.plugins.hparams import api

    trials = [trial for trial in results.trials if trial.status != "running"]
    settings = {trial.id: settings_of(trial) for trial in trials}
    folder = hparams_path(results)
    # Each call writes all trials: no older files beside them.
    shutil.rmtree(folder, ignore_errors=True)
    names = dict.fromkeys(name for own in settings.values() for name in own)
    config = api.hparams_config_pb(
        hparams=[api.HParam(name) for name in names],
        metrics=[api.Metric(METRIC, display_name="validation accuracy")],
    )
    write_events(folder, [config])
    for trial in trials:
        write_events(folder / trial.id, session(trial, settings[trial.id]))
    return folder


def hparams_path(results):
    """The folder of a search's TensorBoard logs."""
    return pathlib.Path(results.path) / "tensorboard"


def session(trial, settings):
    """The summaries of one trial."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api, api_pb2
    from tensorboard.plugins.hparams.summary import session_end_pb

    yield api.hparams_pb(settings, trial_id=trial.id)
    if trial.score is not None and math.isfinite(trial.score):
        yield Summary(
            value=[Summary.Value(tag=METRIC, simple_value=trial.score)]
        )
    failed = trial.status == "failed"
    status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
    yield session_end_pb(status)


def write_events(folder, summaries):
    """Write summaries as events.

    Not by `tf.summary`: its first operation would take the memory of a GPU,
    which the next process needs.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for summary in summaries:
        # Some are TensorFlow's class of this name.
        own = Summary.FromString(summary.SerializeToString())
        writer.add_event(Event(wall_time=time.time(), step=0, summary=own))
    writer.close()
