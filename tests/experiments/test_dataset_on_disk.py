"""An experiment on images that were left on disk, with TensorFlow or not."""

import numpy as np
import pytest

from keras_lbreg.data import load_dataset
from keras_lbreg.data.rows import on_disk
from keras_lbreg.data.sources.image_cache import cache_folder, write_cache
from keras_lbreg.experiments import Experiment, compare
from keras_lbreg.experiments.recipes import recipe_for

pytest.importorskip("tqdm")

NAME = "made_up"


@pytest.fixture
def folder(tmp_path):
    """A data folder whose dataset was written to files before."""
    version = tmp_path / NAME / "1.0.0"
    version.mkdir(parents=True)
    (version / "dataset_info.json").touch()
    size = recipe_for(NAME).image_size
    rng = np.random.default_rng(0)

    def part(count):
        arrays = (
            rng.integers(0, 255, (count, *size, 3), "uint8"),
            np.arange(count, dtype="int32") % 3,
            np.full(count, 80, "int32"),
        )
        return {
            "shape": arrays[0].shape,
            "dtype": "uint8",
            "read": lambda start: [tuple(a[start:] for a in arrays)],
        }

    write_cache(
        cache_folder(NAME, version, size),
        {"train": part(96), "val": part(24)},
        {
            "classes": 3,
            "jpeg": False,
            "full_name": f"{NAME}/1.0.0",
            "validation": "test",
        },
    )
    return tmp_path


@pytest.mark.parametrize("holdout", [0.0, 0.25])
def test_run_on_a_dataset_on_disk(folder, holdout):
    size = recipe_for(NAME).image_size
    dataset = load_dataset(NAME, folder, size)
    assert on_disk(dataset.x_train)
    experiment = Experiment(
        NAME,
        arms=("large_batch",),
        seeds=1,
        small_batch_size=16,
        batch_size=32,
        epochs=1,
        data_dir=str(folder),
        out_dir=str(folder / "results"),
        tensorboard=False,
        holdout=holdout,
    )
    compare(experiment)
    results = (folder / "results" / "runs" / "large_batch" / "seed-0").iterdir()
    assert "summary.json" in {file.name for file in results}
