"""KerasTuner's messages between the chief of a search and its workers.

The messages of KerasTuner 1.4's `OracleServicer` and `OracleClient` are spoken
here without those two, which cannot be used as they are: the server takes
turns of 20 seconds, prints every condition of the space and never ends once a
worker has died; the client waits an hour for a chief that is not there.

A trial's `score` and metrics are numbers of 32 bits in them, and the reason of
a failure has no place. Both travel as metadata of the same calls.
"""

import contextlib
import json
import socket
from concurrent import futures

import keras_tuner
from keras_tuner.engine.trial import Trial

try:
    import grpc
except ImportError as error:
    raise ImportError(
        "A search on several machines needs grpcio. Install it with "
        '`pip install "keras-lbreg[tune]"`.'
    ) from error
from keras_tuner.src import protos

from keras_lbreg.search.machines.chief_errors import (
    ChiefSilentError,
    TrialTakenError,
)

# gRPC accepts binary values only under a key that ends in this way.
METADATA = "keras-lbreg-bin"
# Metadata of more than 8 KiB is refused.
LONGEST_REASON = 1000
TOO_LATE = grpc.StatusCode.FAILED_PRECONDITION
CHANNEL_OPTIONS = (
    # A proxy is for the world outside of the cluster.
    ("grpc.enable_http_proxy", 0),
    # Its own choice is up to two minutes between two attempts.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


@contextlib.contextmanager
def serve_oracle(desk, inbox, address):
    """Answer KerasTuner's messages while the context is entered.

    Args:
        desk: Object that knows what to answer, such as a `ChiefDesk`. Its
            methods get the caller first: a dictionary with the worker's name
            and a token of its process.
        inbox: The `Inbox` by whose `work` the desk's methods are called.
        address: `"host:port"` to listen on, and on nothing else. The messages
            are neither encrypted nor authenticated.

    Raises:
        OSError: Nothing can listen there.

    Example:

    >>> with serve_oracle(desk, inbox, "10.0.0.1:8000"):
    ...     while not desk.ended:
    ...         inbox.work(seconds=0.2)

    Reference: https://keras.io/keras_tuner/guides/distributed_tuning
    """
    check_free(address)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=1),
        # Or a second chief would share the port, and the workers' calls.
        options=[("grpc.so_reuseport", 0)],
    )
    protos.get_service_grpc().add_OracleServicer_to_server(
        Servicer(desk, inbox), server
    )
    server.add_insecure_port(address)
    server.start()
    try:
        yield
    finally:
        inbox.close()
        server.stop(grace=1.0).wait()


class Servicer(protos.get_service_grpc().OracleServicer):
    """Hands each message to the desk, and its answer back."""

    def __init__(self, desk, inbox):
        self.desk = desk
        self.inbox = inbox

    def GetSpace(self, request, context):
        # KerasTuner's first message. Our workers know the space: a greeting.
        self._ask(context, self.desk.greet)
        empty = keras_tuner.HyperParameters()
        return protos.get_service().GetSpaceResponse(
            hyperparameters=empty.to_proto()
        )

    def CreateTrial(self, request, context):
        trial_id, status, values = self._ask(context, self.desk.create_trial)
        # Of the space, only values: nothing has to be told or printed twice.
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        trial = Trial(hp, trial_id, status)
        return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

    def GetTrial(self, request, context):
        progress = read_metadata(context)["progress"]
        self._ask(context, self.desk.get_trial, request.trial_id, progress)
        trial = Trial(keras_tuner.HyperParameters(), request.trial_id)
        return protos.get_service().GetTrialResponse(trial=trial.to_proto())

    def UpdateTrial(self, request, context):
        execution = read_metadata(context)["execution"]
        self._ask(context, self.desk.update_trial, request.trial_id, execution)
        trial = Trial(keras_tuner.HyperParameters(), request.trial_id)
        return protos.get_service().UpdateTrialResponse(trial=trial.to_proto())

    def EndTrial(self, request, context):
        trial = Trial.from_proto(request.trial)
        reason = read_metadata(context)["reason"]
        self._ask(
            context, self.desk.end_trial, trial.trial_id, trial.status, reason
        )
        return protos.get_service().EndTrialResponse()

    def _ask(self, context, method, *args):
        caller = read_metadata(context)["caller"]
        try:
            return self.inbox.call(method, caller, *args)
        except TrialTakenError as error:
            context.abort(TOO_LATE, str(error))
        except TimeoutError:
            context.abort(grpc.StatusCode.UNAVAILABLE, "The chief is leaving.")


def read_metadata(context):
    """What a worker of ours has sent beside a message."""
    for key, value in context.invocation_metadata():
        if key == METADATA:
            return json.loads(value)
    context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        "This is the chief of an `lbreg tune` search: only workers started "
        "with the same command can work for it.",
    )


@contextlib.contextmanager
def connect_oracle(address, token, timeout=10.0):
    """Connect to the chief that listens on `address`.

    Args:
        address: `"host:port"`.
        token: Name of this process, which no other has.
        timeout: Seconds to wait for each answer.

    Returns:
        Context manager of an `OracleClient`. Nothing is sent yet.

    Example:

    >>> with connect_oracle("10.0.0.1:8000", token="node7:4711") as client:
    ...     trial = client.create_trial("worker0")

    Reference: https://keras.io/keras_tuner/guides/distributed_tuning
    """
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = protos.get_service_grpc().OracleStub(channel)
        yield OracleClient(stub, token, timeout)


class OracleClient:
    """Sends KerasTuner's messages to the chief; `worker` names the sender.

    Every method raises `ChiefSilentError` if no answer comes, and those about
    a trial `TrialTakenError` if another worker has it.
    """

    def __init__(self, stub, token, timeout):
        self.stub = stub
        self.token = token
        self.timeout = timeout

    def greet(self, worker):
        """Find out whether the chief is there."""
        request = protos.get_service().GetSpaceRequest()
        self._call(self.stub.GetSpace, request, worker)

    def create_trial(self, worker):
        """Ask for a trial: its id, status and hyperparameter values."""
        request = protos.get_service().CreateTrialRequest(tuner_id=worker)
        response = self._call(self.stub.CreateTrial, request, worker)
        trial = Trial.from_proto(response.trial)
        return trial.trial_id, trial.status, dict(trial.hyperparameters.values)

    def get_trial(self, worker, trial_id, progress=None):
        """Tell that the trial is being run; find out whether it still may."""
        request = protos.get_service().GetTrialRequest(trial_id=trial_id)
        self._call(self.stub.GetTrial, request, worker, progress=progress)

    def update_trial(self, worker, trial_id, execution):
        """Report an execution that has ended."""
        request = protos.get_service().UpdateTrialRequest(
            trial_id=trial_id,
            metrics={"val_accuracy": execution["val_accuracy"]},
            step=execution["execution"],
        )
        self._call(self.stub.UpdateTrial, request, worker, execution=execution)

    def end_trial(self, worker, trial_id, status, reason=None):
        """Report that a trial is `"COMPLETED"`, or `"FAILED"` and why."""
        trial = Trial(keras_tuner.HyperParameters(), trial_id, status)
        request = protos.get_service().EndTrialRequest(trial=trial.to_proto())
        if reason is not None:
            reason = reason[:LONGEST_REASON]
        self._call(self.stub.EndTrial, request, worker, reason=reason)

    def _call(self, method, request, worker, **beside):
        caller = {"worker": worker, "token": self.token}
        content = json.dumps({"caller": caller, **beside}, allow_nan=False)
        metadata = ((METADATA, content.encode()),)
        try:
            return method(request, metadata=metadata, timeout=self.timeout)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
        if code == TOO_LATE:
            raise TrialTakenError(details)
        if code in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        ):
            raise ChiefSilentError(details)
        raise RuntimeError(f"The chief of the search has failed: {details}")


def check_free(address):
    """Raise `OSError` if nothing can listen on the address.

    gRPC says why only in a log of its own.
    """
    host, _, port = address.rpartition(":")
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise OSError(
                f"The chief cannot listen on {address} ({error.strerror}). "
                "Is another chief running, or is it the address of another "
                "machine? Set KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT."
            ) from error
