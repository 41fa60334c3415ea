"""Contract with KerasTuner 1.4 (checked on 1.4.8): its messages' shape."""

import contextlib
import importlib.metadata
import socket
import threading
import time

import keras_tuner
import pytest
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief, oracle_client

from keras_lbreg.search.machines import keras_tuner_hooks as hooks
from keras_lbreg.search.machines.chief_errors import (
    ChiefSilentError,
    TrialTakenError,
)
from keras_lbreg.search.machines.inbox import Inbox

VALUES = {
    "batch_size": 512,
    "learning_rate_factor": 1.234567890123456789,
    "dreg": True,
    "lr_scaling.rule": "sqrt",
}
EXECUTION = {"execution": 1, "seed": 1, "val_accuracy": 0.1 + 0.2, "epochs": 3}


class Desk:
    """Answers one trial, and notes who asked what."""

    def __init__(self):
        self.heard = []

    def greet(self, caller):
        self.heard.append(("greet", caller))

    def create_trial(self, caller):
        self.heard.append(("create", caller))
        return "07", "RUNNING", VALUES

    def get_trial(self, caller, trial, progress):
        if trial == "99":
            raise TrialTakenError("worker1 has it")
        self.heard.append(("get", trial, progress))

    def update_trial(self, caller, trial, execution):
        self.heard.append(("update", trial, execution))

    def end_trial(self, caller, trial, status, reason):
        self.heard.append(("end", trial, status, reason))


@contextlib.contextmanager
def serve(desk, address):
    """The server, and a thread that works for it as the chief's main does."""
    inbox = Inbox(answers=TrialTakenError)
    over = threading.Event()

    def work():
        while not over.is_set():
            inbox.work(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with hooks.serve_oracle(desk, inbox, address):
            yield
    finally:
        over.set()
        thread.join()


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def address():
    return free_address()


@pytest.fixture(scope="module")
def desk(address):
    desk = Desk()
    with serve(desk, address):
        yield desk


@pytest.fixture
def client(desk, address):
    desk.heard.clear()
    with hooks.connect_oracle(address, token="here:1") as client:
        yield client


def test_keras_tuner_is_the_checked_version():
    version = importlib.metadata.version("keras-tuner")
    assert version.split(".")[:2] == ["1", "4"], (
        "keras_tuner_hooks was checked on KerasTuner 1.4: read its "
        "`OracleServicer` and `OracleClient` again"
    )


def test_the_messages_that_are_spoken_are_those_of_keras_tuner():
    spoken = {"GetSpace", "CreateTrial", "GetTrial", "UpdateTrial", "EndTrial"}
    theirs = {n for n in vars(oracle_chief.OracleServicer) if n[0].isupper()}
    assert theirs == {*spoken, "UpdateSpace", "GetBestTrials"}
    assert {n for n in vars(hooks.Servicer) if n[0].isupper()} == spoken
    for name in spoken:
        assert f"self.stub.{name}(" in source(oracle_client)
    fields = protos.get_service().CreateTrialRequest.DESCRIPTOR.fields_by_name
    assert list(fields) == ["tuner_id"]


def source(module):
    with open(module.__file__, encoding="utf-8") as file:
        return file.read()


def test_why_their_own_classes_are_not_used():
    # When one of these is mended, use theirs.
    assert "time.sleep(20)" in source(oracle_chief)
    assert oracle_client.TIMEOUT == 3600
    trial = protos.get_proto().Trial.DESCRIPTOR
    assert "message" not in trial.fields_by_name
    observation = protos.get_proto().MetricObservation.DESCRIPTOR
    value = observation.fields_by_name["value"]
    assert value.type == value.TYPE_FLOAT  # 32 bits


def test_conditions_print_when_the_space_is_sent(capfd):
    hp = keras_tuner.HyperParameters()
    hp.Boolean("dreg")
    with hp.conditional_scope("dreg", [True]):
        hp.Float("dreg.weight", 0.1, 1.0)
    hp.to_proto()
    assert "True" in capfd.readouterr().out


def test_values_come_through_as_they_are_and_in_silence(client, capfd):
    trial, status, values = client.create_trial("worker0")
    assert (trial, status) == ("07", "RUNNING")
    assert values == VALUES
    assert {k: type(v) for k, v in values.items()} == {
        k: type(v) for k, v in VALUES.items()
    }
    assert capfd.readouterr().out == ""


def test_results_and_reasons_come_through_as_they_are(client, desk):
    client.greet("worker0:1")
    client.get_trial("worker0", "07", {"epoch": 2})
    client.update_trial("worker0", "07", EXECUTION)
    client.end_trial("worker0", "07", "COMPLETED")
    client.end_trial("worker0", "08", "FAILED", "loss ∞ in epoch 3" * 1000)
    *others, last = desk.heard
    assert others == [
        ("greet", {"worker": "worker0:1", "token": "here:1"}),
        ("get", "07", {"epoch": 2}),
        ("update", "07", EXECUTION),
        ("end", "07", "COMPLETED", None),
    ]
    assert last[:3] == ("end", "08", "FAILED")
    assert last[3].startswith("loss ∞ in epoch 3loss")


def test_a_trial_that_another_has_is_told_so(client):
    with pytest.raises(TrialTakenError, match="worker1 has it"):
        client.get_trial("worker0", "99")


def test_what_the_chief_cannot_do_is_told(client):
    request = protos.get_service().GetBestTrialsRequest(num_trials=1)
    with pytest.raises(RuntimeError, match="chief of the search has failed"):
        client._call(client.stub.GetBestTrials, request, "worker0")


def test_a_chief_that_is_not_there_is_noticed_at_once():
    with (
        hooks.connect_oracle(free_address(), "here:1") as client,
        pytest.raises(ChiefSilentError),
    ):
        client.greet("worker0")


def test_a_chief_that_comes_back_is_found_again():
    address = free_address()
    with hooks.connect_oracle(address, "here:1") as client:
        for _ in range(2):
            with serve(Desk(), address):
                retry(client.greet, "worker0")
            with pytest.raises(ChiefSilentError):
                client.greet("worker0")


def retry(method, *args):
    for _ in range(50):
        try:
            return method(*args)
        except ChiefSilentError:
            time.sleep(0.1)
    return method(*args)


def test_a_second_chief_does_not_share_the_port(desk, address):
    with (
        pytest.raises(OSError, match="Is another chief running"),
        serve(Desk(), address),
    ):
        pass


def test_the_address_of_another_machine_is_refused():
    with (
        pytest.raises(OSError, match="address of another machine"),
        serve(Desk(), "192.0.2.1:8000"),
    ):
        pass


def test_a_worker_of_plain_keras_tuner_is_refused(desk, address, monkeypatch):
    host, port = address.split(":")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", host)
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", port)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker0")
    oracle = keras_tuner.oracles.RandomSearchOracle("val_accuracy", 1)
    with pytest.raises(Exception, match="only workers started with the same"):
        oracle_client.OracleClient(oracle).create_trial("worker0")
