import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def quick_garbage_collection():
    """Tuners collect garbage before every execution: pytest's, too."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
