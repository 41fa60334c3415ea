from keras_lbreg.processes.thread_settings import THREADS, available_cores
from keras_lbreg.search.trials.child_environment import child_environment
from tests.search.small_search import small_search


def test_one_worker_has_the_machine_for_itself(tmp_path):
    search = small_search(tmp_path, backend="jax")
    environ = child_environment(search, 0, environ={"A": "b"})
    assert environ["KERAS_BACKEND"] == "jax"
    assert environ["A"] == "b"
    assert not {*THREADS, "CUDA_VISIBLE_DEVICES"} & set(environ)


def test_several_workers_share_the_cores_and_the_gpus(tmp_path):
    search = small_search(tmp_path, workers=2)
    given = {"CUDA_VISIBLE_DEVICES": "4,5"}
    environs = [child_environment(search, slot, given) for slot in (0, 1)]
    assert [x["CUDA_VISIBLE_DEVICES"] for x in environs] == ["4", "5"]
    share = str(max(1, available_cores() // 2))
    for environ in environs:
        assert {environ[name] for name in THREADS} == {share}
    # Where there is one GPU, they have it together.
    shared = child_environment(search, 1, {"CUDA_VISIBLE_DEVICES": "4"})
    assert shared["CUDA_VISIBLE_DEVICES"] == "4"
    assert shared["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert shared["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.450"
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in environs[0]
    # What checks the search runs alone.
    assert "OMP_NUM_THREADS" not in child_environment(search, environ={})
