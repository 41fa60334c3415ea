"""Where the results come from, as a table."""

from keras_lbreg.formatting import MISSING
from recipes.study.cells import table as markdown


def runs_table(study):
    """With what, at which commit and how often each part was run."""
    groups = {}
    for comparison in study.comparisons:
        results = study.results(comparison.name)
        if results is not None:
            done = sum(run.status == "finished" for run in results.runs)
            total = len(results.arms) * len(results.manifest["seeds"])
            epochs = results.manifest["config"]["epochs"]
            text = (
                f"{comparison.name} ({done} of {total} runs, {epochs} epochs)"
            )
            groups.setdefault(made_with(results.manifest), []).append(text)
    for measurement in study.measurements:
        content = study.measured(measurement.name)
        if content is not None:
            groups.setdefault(made_with(content), []).append(measurement.name)
    return markdown(
        ["commit", "device", "with", "what"],
        [[*key, ", ".join(names)] for key, names in groups.items()],
    )


def made_with(content):
    """Commit, device and versions of a manifest or a measurement."""
    versions = content["versions"]
    backend = content["backend"]
    return (
        (content["git_commit"] or MISSING)[:7],
        f"{content['device']}, {content['cpu_count']} cores",
        f"Keras {versions['keras']}, {backend} {versions[backend]}",
    )
