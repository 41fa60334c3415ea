import dataclasses
@dataclasses.dataclass(frozen=True)
class EpochRecord:
    arm: str
    seed: int
    epoch: int
    updates: int
    samples: int
    time: float
    elapsed: float
    learning_rate: float
    objective: float
    logs: dict

@dataclasses.dataclass(frozen=True)
class RunResult:
    arm: str
    seed: int
    status: str
    reason: str | None = None
    epochs: tuple = ()
    summary: dict = dataclasses.field(default_factory=dict)
    @property
    def final(self): return self.epochs[-1].objective
    @property
    def updates(self): return self.epochs[-1].updates
    @property
    def time(self): return self.epochs[-1].time
    @property
    def elapsed(self): return self.epochs[-1].elapsed

@dataclasses.dataclass(frozen=True)
class Results:
    path: object
    manifest: dict
    runs: tuple
    @property
    def arms(self): return self.manifest["arms"]
    @property
    def objective(self): return self.manifest["workload"]["objective"]
    @property
    def maximize(self): return self.manifest["workload"]["direction"]=="max"
    @property
    def is_share(self): return self.objective.endswith("accuracy")
    def runs_of(self, arm): return [r for r in self.runs if r.arm==arm]
    @property
    def complete(self): return all(r.status!="running" for r in self.runs)
