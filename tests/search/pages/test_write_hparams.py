"""TensorBoard's HParams tab shows every trial."""

import keras
import pytest

from keras_lbreg.search.pages.dimensions import settings_of
from keras_lbreg.search.pages.write_hparams import METRIC, write_hparams
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


def read_back(folder):
    """What the HParams plugin reads of a folder: one message per session."""
    from tensorboard.backend.event_processing import data_provider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import (
        EventMultiplexer,
    )
    from tensorboard.context import RequestContext
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import (
        api_pb2,
        backend_context,
        get_experiment,
        list_session_groups,
    )

    runs = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    provider = data_provider.MultiplexerDataProvider(runs, str(folder))
    context = backend_context.Context(
        base_plugin.TBContext(data_provider=provider, logdir=str(folder))
    )
    request = RequestContext(), context, ""
    experiment = get_experiment.Handler(
        *request, api_pb2.GetExperimentRequest()
    ).run()
    wanted = api_pb2.ListSessionGroupsRequest(slice_size=1000)
    wanted.allowed_statuses.extend(
        [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    )
    for metric in experiment.metric_infos:
        wanted.col_params.add().metric.CopyFrom(metric.name)
    groups = list_session_groups.Handler(*request, wanted).run()
    return experiment, groups.session_groups


@pytest.mark.tensorflow
def test_every_trial_with_its_settings_and_accuracy(tmp_path):
    results = read_search(write_search(tmp_path, trials=8, failed=(3,)))
    # Twice: no trial is there twice.
    write_hparams(results)
    experiment, sessions = read_back(write_hparams(results))
    names = {info.name for info in experiment.hparam_infos}
    known = [settings_of(trial) for trial in results.trials]
    assert names == {name for own in known for name in own}
    assert [info.name.tag for info in experiment.metric_infos] == [METRIC]
    assert sorted(session.name for session in sessions) == [
        trial.id for trial in results.trials
    ]
    by_id = {session.name: session for session in sessions}
    for trial, own in zip(results.trials, known, strict=True):
        session = by_id[trial.id]
        assert {
            name: getattr(value, value.WhichOneof("kind"))
            for name, value in session.hparams.items()
        } == own
        accuracies = [value.value for value in session.metric_values]
        if trial.status == "completed":
            assert accuracies == [pytest.approx(trial.score)]
        else:
            assert accuracies == []


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs another backend"
)
def test_nothing_is_written_without_tensorflow(tmp_path):
    results = read_search(write_search(tmp_path, trials=2))
    assert write_hparams(results) is None
    assert not (tmp_path / "tensorboard").exists()
