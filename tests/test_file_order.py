import json
import types

from tests.file_order import LongestFilesFirst


def item(folder, name, size):
    path = folder / f"{name}.py"
    path.write_text("#" * size)
    return types.SimpleNamespace(nodeid=f"{name}.py::test", path=path)


def test_files_begin_by_their_stored_seconds_and_unknown_ones_before(tmp_path):
    store = tmp_path / "cache" / "seconds.json"
    first = LongestFilesFirst(types.SimpleNamespace(), store)
    for name, duration in (("a", 1.0), ("b", 4.0), ("a", 2.0)):
        report = types.SimpleNamespace(nodeid=f"{name}.py::test", duration=duration)
        first.pytest_runtest_logreport(report)
    first.pytest_sessionfinish()
    assert json.loads(store.read_text()) == {"a.py": 3.0, "b.py": 4.0}

    items = [item(tmp_path, *f) for f in (("a", 9), ("b", 1), ("c", 1), ("d", 2))]
    second = LongestFilesFirst(types.SimpleNamespace(), store)
    second.pytest_collection_modifyitems(items)
    assert [i.path.stem for i in items] == ["d", "c", "b", "a"]


def test_part_of_a_file_does_not_shorten_its_seconds(tmp_path):
    store = tmp_path / "seconds.json"
    store.write_text('{"a.py": 9.0}')
    run = LongestFilesFirst(types.SimpleNamespace(), store)
    run.pytest_runtest_logreport(
        types.SimpleNamespace(nodeid="a.py::test", duration=1.0)
    )
    run.pytest_sessionfinish()
    assert json.loads(store.read_text()) == {"a.py": 9.0}


def test_workers_take_the_order_of_their_controller(tmp_path):
    node = types.SimpleNamespace(workerinput={})
    store = tmp_path / "seconds.json"
    store.write_text('{"a.py": 9.0}')
    LongestFilesFirst(types.SimpleNamespace(), store).pytest_configure_node(node)
    store.unlink()
    worker = LongestFilesFirst(node, store)
    assert worker.seconds == {"a.py": 9.0}
    worker.pytest_runtest_logreport(
        types.SimpleNamespace(nodeid="a.py::test", duration=10.0)
    )
    worker.pytest_sessionfinish()
    assert not store.exists()
