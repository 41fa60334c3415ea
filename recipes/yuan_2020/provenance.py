"""Table of what every comparison ran on."""

from recipes.yuan_2020.tables import markdown


def provenance(study):
    """What every comparison ran on."""
    rows = []
    for comparison in study.comparisons:
        results = study.results(comparison.name)
        if results is None:
            continue
        manifest = results.manifest
        backend = manifest["backend"]
        versions = manifest["versions"]
        seconds = sum(run.summary.get("wall_time", 0) for run in results.runs)
        rows.append(
            [
                f"`{comparison.name}`",
                f"{manifest['config']['epochs']}",
                f"{len(manifest['seeds'])}",
                f"Keras {versions['keras']}, {backend} {versions[backend]}",
                manifest["device"],
                f"{seconds:.0f} s",
                f"`{(manifest['git_commit'] or 'unknown')[:9]}`",
            ]
        )
    header = [
        "comparison",
        "epochs",
        "seeds",
        "versions",
        "device",
        "training, all runs",
        "commit",
    ]
    return markdown(header, rows)
