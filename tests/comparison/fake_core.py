import dataclasses


@dataclasses.dataclass(frozen=True)
class Results:
    path: object
    manifest: dict
    runs: tuple

    @property
    def arms(self):
        return self.manifest["arms"]

    @property
    def objective(self):
        return self.manifest["workload"]["objective"]

    @property
    def maximize(self):
        return self.manifest["workload"]["direction"] == "max"

    @property
    def is_share(self):
        return self.objective.endswith("accuracy")

    def runs_of(self, arm):
        return [r for r in self.runs if r.arm == arm]
