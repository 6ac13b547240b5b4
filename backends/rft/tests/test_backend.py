"""The backend as ablatekit sees it: the contract, content hashes, and life without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from ablatekit_rft import basemodels, tasks
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.sources.hub import cache_directory

from ablatekit.backend import Backend, RunContext
from ablatekit.errors import PluginError, UsageError
from ablatekit.plugins import load_backend
from ablatekit.runs.records import RunSpec, part_metric
from ablatekit.testing.specs import run_spec

CONFIGURE = """
import sys
from ablatekit_rft import basemodels
from ablatekit_rft.backend import RftBackend
backend = RftBackend()
basemodels.catalogue()
settings = {"model": "tiny-llama", "dataset": "letter-sort", "budget.amount": 6}
backend.rules(), backend.metrics(settings), backend.resources(settings), backend.content(settings)
backend.settings.model_json_schema()
heavy = "torch transformers safetensors tokenizers pandas pyarrow mlflow scipy matplotlib".split()
print([name for name in heavy if name in sys.modules])
"""


@pytest.fixture
def backend() -> Backend:
    return RftBackend()


def test_the_entry_point_leads_to_a_backend_that_fulfils_the_contract() -> None:
    assert isinstance(load_backend("rft"), RftBackend)


def test_planning_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFIGURE], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_imports_made_is_not_collected_with_what_runs_leave() -> None:
    program = (
        "import gc, ablatekit_rft.backend as backend;"
        "backend._import_training();"
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 10_000)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["True", "True", "True"]


@pytest.mark.parametrize("place", ["none", "reward", "loss"])
def test_metrics_have_unique_names_docs_and_the_two_responses(backend: Backend, place: str) -> None:
    specs = backend.metrics({"kl_place": place})
    by_role = {role: [s.name for s in specs if s.role == role] for role in {s.role for s in specs}}
    assert len({spec.name for spec in specs}) == len(specs)
    assert all(spec.doc for spec in specs)
    assert by_role["learning"] == [metrics.TRAIN_PASS]
    assert by_role["generalization"] == [metrics.TEST_PASS]
    assert len(by_role["cost"]) == 4


@pytest.mark.parametrize(
    ("changed", "partial"),
    [
        ({}, True),
        ({"evaluation.intermediate_fraction": 1.0}, False),
        ({"evaluation.points": 1}, False),
    ],
)
def test_metrics_say_which_evaluations_use_a_part_of_the_items(
    backend: Backend, changed: dict[str, Any], partial: bool
) -> None:
    specs = {spec.name: spec for spec in backend.metrics(changed)}
    found = {name for name, spec in specs.items() if spec.partial}
    sampled = {metrics.TRAIN_PASS, metrics.TEST_PASS, metrics.TRAIN_LENGTH, metrics.KL_INIT}
    assert sampled <= found if partial else not found
    assert not found & {metrics.TEST_GREEDY, metrics.CORRECT, metrics.SECONDS}
    assert specs[metrics.TEST_PASS].items == "test"


def test_every_metric_constant_is_described(backend: Backend) -> None:
    names = {
        value for name, value in vars(metrics).items() if name.isupper() and isinstance(value, str)
    }
    cells: tuple[dict[str, Any], ...] = (
        {"kl_place": "reward"},
        {"kl_place": "loss"},
        {"ratio_level": "token", "clip": "dual_clip", "mismatch": "tis_token"},
        {"engine": "vllm"},
        {"reward_noise": "flip", "group_filter": "drop", "rollouts": 2, "advantage": "ema"},
        {"advantage": "tracker"},
        {"entropy": "adaptive", "precision": "bf16", "staleness": 1},
    )
    described = {spec.name for cell in cells for spec in backend.metrics(cell)}
    assert described == names


def test_only_times_and_memory_differ_between_two_executions_of_a_run(backend: Backend) -> None:
    unrepeatable = {spec.name for spec in backend.metrics({}) if not spec.repeatable}
    assert unrepeatable == {spec.name for spec in backend.metrics({}) if spec.unit in ("s", "GiB")}


def test_resources_follow_the_settings(backend: Backend) -> None:
    assert backend.resources({"threads": 2}).cpus == 2
    assert backend.resources({"device": "cpu"}).gpus == 0
    assert backend.resources({}).gpus == backend.resources({"device": "cuda"}).gpus == 1
    assert backend.resources({"gpu_share": 0.25}).gpus == 0.25


def test_content_depends_on_model_and_dataset_alone(backend: Backend) -> None:
    plain = backend.content({})
    assert set(plain) == {"model", "dataset"}
    assert plain == backend.content({"train_items": 1024, "rollouts": 4, "threads": 2})


def test_every_shipped_model_and_task_has_its_own_content(backend: Backend) -> None:
    models = {backend.content({"model": name})["model"] for name in basemodels.catalogue()}
    sizes = {"train_items": 8, "evaluation.test_items": 8}
    datasets = {
        backend.content({"dataset": name, **sizes})["dataset"] for name in tasks.task_names()
    }
    assert len(models) == len(basemodels.catalogue()) >= 3
    assert len(datasets) == len(tasks.task_names()) >= 2


def test_the_default_model_and_dataset_are_shipped() -> None:
    assert RftSettings().model in basemodels.catalogue()
    assert RftSettings().dataset in tasks.task_names()


def safetensors_of(weights: bytes) -> bytes:
    """A file of one tensor."""
    tensor = {"dtype": "BF16", "shape": [len(weights)], "data_offsets": [0, len(weights)]}
    header = json.dumps({"weight": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + weights


def model_directory(path: Path, weights: bytes) -> str:
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(safetensors_of(weights))
    return str(path)


def test_a_directory_is_known_by_its_files_not_by_its_place(
    backend: Backend, tmp_path: Path
) -> None:
    def content(name: str, weights: bytes) -> str:
        return backend.content({"model": model_directory(tmp_path / name, weights)})["model"]

    first = content("first", b"1")
    assert content("same", b"1") == first
    assert content("other", b"2") != first


def test_a_directory_that_changed_is_hashed_again(backend: Backend, tmp_path: Path) -> None:
    directory = model_directory(tmp_path / "model", b"1")
    before = backend.content({"model": directory})
    (tmp_path / "model" / "model.safetensors").write_bytes(safetensors_of(b"12"))
    assert backend.content({"model": directory}) != before


def test_a_directory_without_a_model_is_refused(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json"):
        backend.content({"model": str(tmp_path)})


def test_a_large_model_wants_more_memory(backend: Backend, tmp_path: Path) -> None:
    directory = model_directory(tmp_path / "model", b"")
    with (tmp_path / "model" / "model.safetensors").open("wb") as stream:
        stream.truncate(2**30)
    assert backend.resources({"model": directory}).memory == pytest.approx(9.0, abs=0.01)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub; `owner/name` is fetched by writing its reference."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return tmp_path / "models--owner--name" / "refs"


def test_a_hub_model_is_known_by_its_commit(backend: Backend, hub_cache: Path) -> None:
    pinned = backend.content({"model": f"owner/name@{COMMIT}"})["model"]
    assert pinned == f"hub:owner/name@{COMMIT}"
    (hub_cache / "pr").mkdir(parents=True)
    (hub_cache / "main").write_text(COMMIT)
    (hub_cache / "pr" / "1").write_text("f" * 40)
    assert backend.content({"model": "owner/name"})["model"] == pinned
    assert backend.content({"model": "owner/name@pr/1"})["model"] == f"hub:owner/name@{'f' * 40}"


def test_a_hub_model_whose_branch_may_move_is_refused(backend: Backend, hub_cache: Path) -> None:
    with pytest.raises(UsageError, match=r"not pinned.*'owner/name'.*hf download owner/name"):
        backend.content({"model": "owner/name"})
    hub_cache.mkdir(parents=True)
    (hub_cache / "main").write_text("no commit")
    with pytest.raises(UsageError, match="Write owner/name@COMMIT"):
        backend.content({"model": "owner/name"})
    with pytest.raises(UsageError, match=r"hf download owner/name --revision v1\.0"):
        backend.content({"model": "owner/name@v1.0"})


def test_the_cache_of_the_hub_is_where_its_own_variables_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_directory() == tmp_path / "x" / "huggingface" / "hub"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert cache_directory() == tmp_path / "cache"


@pytest.mark.parametrize(
    ("settings", "near"),
    [({"model": "tiny-lama"}, "tiny-llama"), ({"dataset": "letter-srot"}, "letter-sort")],
)
def test_unknown_names_get_the_nearest(
    backend: Backend, settings: dict[str, str], near: str
) -> None:
    with pytest.raises(UsageError, match=f"Did you mean '{near}'"):
        backend.content(settings)


@pytest.mark.parametrize("package", ["torch", "transformers", "safetensors"])
def test_a_missing_training_half_names_the_remedy(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, cast("Any", None))
    spec = cast("RunSpec", None)
    with pytest.raises(PluginError, match=rf"{package}.*pip install 'ablatekit-rft\[train\]'"):
        backend.run(spec, cast("RunContext", None))


def test_the_mismatch_of_an_engine_is_reported_where_there_is_one(backend: Backend) -> None:
    def engine_metrics(**settings: Any) -> set[str]:
        return {spec.name for spec in backend.metrics(settings) if spec.name.startswith("engine/")}

    names = {metrics.ENGINE_MEAN, metrics.ENGINE_MAX, metrics.ENGINE_P99}
    assert engine_metrics(engine="vllm") == names
    assert engine_metrics() == engine_metrics(engine="policy") == set()


def test_a_missing_engine_names_the_remedy(
    backend: Backend, make_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", cast("Any", None))
    spec = run_spec(backend, {"engine": "vllm"})
    with pytest.raises(PluginError, match=r"no package vllm.*scripts/test-vllm.*engine: policy"):
        backend.run(spec, make_context())


SMALL_RUN = {
    "queries_per_round": 8,
    "rollouts": 2,
    "train_items": 16,
    "budget.amount": 2,
    "evaluation.points": 2,
    "evaluation.probe_items": 16,
    "evaluation.test_items": 8,
}


def test_a_run_logs_exactly_the_metrics_that_the_backend_describes(
    backend: Backend, make_context: Any
) -> None:
    spec = run_spec(backend, {**SMALL_RUN, "kl_place": "loss"})
    context = make_context()
    result = backend.run(spec, context)
    described = {metric.name for metric in backend.metrics(spec.settings)}
    of_part = {part_metric(part.name) for part in backend.metrics(spec.settings) if part.partial}
    assert result.status == "finished"
    assert set().union(*context.logged.values()) == described | of_part
    assert set(result.metrics) <= described
    kept = {split for table in context.items.values() for split in table["split"]}
    assert kept == {metric.items for metric in backend.metrics(spec.settings) if metric.items}
