"""Table of what the comparisons ran on."""

import collections

from recipes.yuan_2020.tables import markdown


def provenance(study):
    """A row for all comparisons that ran on the same."""
    groups = collections.defaultdict(list)
    for comparison in study.comparisons:
        results = study.results(comparison.name)
        if results is None:
            continue
        manifest = results.manifest
        backend, versions = manifest["backend"], manifest["versions"]
        key = (
            f"{manifest['config']['epochs']}",
            f"{len(manifest['seeds'])}",
            f"Keras {versions['keras']}, {backend} {versions[backend]}",
            f"{manifest['device']}, {manifest['cpu_count']} cores",
            f"`{(manifest['git_commit'] or 'unknown')[:9]}`",
        )
        seconds = sum(run.time for run in results.runs)
        groups[key].append((comparison.name, seconds))
    rows = [
        [
            ", ".join(f"`{name}`" for name, _ in members),
            *key,
            f"{sum(seconds for _, seconds in members):.0f} s",
        ]
        for key, members in groups.items()
    ]
    header = [
        "comparisons",
        "epochs",
        "seeds",
        "versions",
        "device",
        "commit",
        "training, all runs",
    ]
    return markdown(header, rows)
