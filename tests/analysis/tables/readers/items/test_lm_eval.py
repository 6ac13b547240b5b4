"""Folders of lm-eval: filters as columns, pairs by document, reruns, and what is damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.read import read_table
from ablatekit.analysis.tables.readers.base import DIRECTIONS, MESSAGES, ROLES
from ablatekit.errors import TableError
from ablatekit.report.language.sentences import say
from ablatekit.testing.reader_suite import ReaderSuite

REAL = Path(__file__).parents[4] / "reference" / "foreign" / "lm_eval"
STRICT, FLEXIBLE = "exact_match[strict-match]", "exact_match[flexible-extract]"
DATE = "2026-11-30T10-00-00.000000"
LATER = "2026-11-30T11-00-00.000000"


def sample(number: int, value: object = 1.0, under: str = "none", **more: Any) -> dict[str, Any]:
    known = {"doc_id": number, "doc_hash": f"h{number}", "filter": under, "metrics": ["acc"]}
    return {**known, "acc": value, **more}


def evaluated(folder: Path, rows: list[dict[str, Any]], date: str = DATE, **config: Any) -> Path:
    """A samples file, beside results that name the config."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"samples_sums_{date}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = {"config": {"model": "hf", **config}, "model_name": folder.name}
    results["higher_is_better"] = {"sums": {"acc": True}}
    (folder / f"results_{date}.json").write_text(json.dumps(results))
    return path


def told(frame: pd.DataFrame) -> list[str]:
    statements: list[Statement] = frame.attrs[MESSAGES]
    return [say(message, "run") for message in statements]


class TestLmEval(ReaderSuite):
    reader_name = "lm_eval"
    expected: ClassVar = {
        "run": [f"sums_{DATE}"] * 2,
        "dataset": ["sums"] * 2,
        "item": ["h0", "h1"],
        "sample": [0, 0],
        "outcome": [1.0, 0.0],
        "acc": [1.0, 0.0],
        "status": ["finished"] * 2,
        "model": ["small"] * 2,
        "model_type": ["hf"] * 2,
        "folder": ["", ""],
    }

    def source(self, folder: Path) -> Path:
        return evaluated(folder / "small", [sample(0), sample(1, 0.0)])


@pytest.mark.parametrize("response", [STRICT, FLEXIBLE, "outcome"])
def test_real_samples_give_the_planted_effect(response: str) -> None:
    frame = read_table(REAL)
    assert len(frame) == 16 * 8, "a row per evaluation, task and document: none per filter"
    analysis = analyse_table(frame, response, ["recipe"], ["model", "dataset"])
    part = analysis["responses"][response]
    effect = part["effects"][0]
    assert effect["level"] == "norm"
    assert effect["estimate"] == pytest.approx(0.25)
    assert effect["verdict"] == "helps"
    assert part["items"]["model"] is not None


def test_real_settings_have_roles_and_metrics_a_direction() -> None:
    frame = read_table(REAL)
    roles = frame.attrs[ROLES]
    assert {roles[name] for name in ("recipe", "model", "num_fewshot", "dataset")} == {"setting"}
    assert {roles[name] for name in ("seed", "random_seed", "torch_seed")} == {"seed"}
    assert {roles[name] for name in (STRICT, FLEXIBLE, "outcome")} == {"metric"}
    assert roles["folder"] == "about"
    assert set(roles) <= set(frame.columns)
    assert frame.attrs[DIRECTIONS] == dict.fromkeys((STRICT, FLEXIBLE, "outcome"), "higher")
    assert frame.attrs[MESSAGES] == []
    assert (frame["outcome"] == frame[STRICT]).all()
    assert not (frame["outcome"] == frame[FLEXIBLE]).all()


def test_a_rerun_with_a_later_date_counts_alone(tmp_path: Path) -> None:
    shutil.copytree(REAL / "none-0" / "small", tmp_path / "small")
    for file in list((tmp_path / "small").iterdir()):
        text = file.read_text().replace('"exact_match": 1.0', '"exact_match": 0.0')
        stem, _, _ = file.name.rpartition("_")
        (file.parent / f"{stem}_2027-01-01T00-00-00.0{file.suffix}").write_text(text)
    frame = read_table(tmp_path)
    assert len(frame) == 2 * 8
    assert (frame["outcome"] == 0).all()
    (message,) = told(frame)
    assert "small/adding_2026-" in message
    assert "a later evaluation of the same model and task has the same settings" in message


def test_another_seed_of_the_same_model_is_no_rerun(tmp_path: Path) -> None:
    evaluated(tmp_path / "small", [sample(0)], random_seed=0)
    evaluated(tmp_path / "small", [sample(0)], LATER, random_seed=1)
    frame = read_table(tmp_path)
    assert frame["run"].nunique() == 2
    assert told(frame) == []


def test_documents_of_one_content_are_samples_of_one_item(tmp_path: Path) -> None:
    rows = [sample(0), sample(1, 0.0, doc_hash="h0"), sample(2)]
    frame = read_table(evaluated(tmp_path, rows).parent)
    assert frame[["item", "sample"]].to_numpy().tolist() == [["h0", 0], ["h0", 1], ["h2", 0]]
    assert told(frame) == [
        "1 item of sums stands there more than once; the outcomes count as samples of one item"
    ]


def test_samples_that_were_appended_again_count_once(tmp_path: Path) -> None:
    frame = read_table(evaluated(tmp_path, [sample(0), sample(1), sample(0, 0.0)]).parent)
    assert frame["outcome"].tolist() == [0.0, 1.0]
    assert "1 row repeats an item and sample; the last one counts" in told(frame)[0]


def test_filters_of_a_document_are_columns(tmp_path: Path) -> None:
    rows = [sample(0, 1.0, "strict"), sample(1, 0.0, "strict"), sample(0, 1.0, "loose")]
    frame = read_table(evaluated(tmp_path, rows).parent)
    assert frame["acc[strict]"].tolist() == [1.0, 0.0]
    assert frame["acc[loose]"].isna().tolist() == [False, True]


def test_metrics_without_one_number_per_item_are_left_out(tmp_path: Path) -> None:
    more: dict[str, Any] = {"metrics": ["acc", "word_perplexity"], "word_perplexity": [-5.0, 7]}
    frame = read_table(evaluated(tmp_path, [sample(0, **more), sample(1, **more)]).parent)
    assert "word_perplexity" not in frame
    assert told(frame) == ["word_perplexity left out: not every item has one number of it"]


def test_samples_without_results_say_that_settings_are_unknown(tmp_path: Path) -> None:
    path = evaluated(tmp_path / "tiny-llama", [sample(0), sample(1)])
    (path.parent / f"results_{DATE}.json").unlink()
    frame = read_table(tmp_path)
    assert frame["model"].tolist() == ["tiny-llama"] * 2
    assert "states settings" in told(frame)[0]


def test_an_argument_with_the_name_of_a_fixed_column_is_told_apart(tmp_path: Path) -> None:
    evaluated(tmp_path / "m", [sample(0), sample(1)], model_args={"pretrained": "m", "item": "x"})
    frame = read_table(tmp_path)
    assert frame["settings.item"].tolist() == ["x", "x"]
    assert frame["item"].tolist() == ["h0", "h1"]
    assert "pretrained" not in frame


def test_tasks_with_other_metrics_are_told(tmp_path: Path) -> None:
    evaluated(tmp_path / "m", [sample(0), sample(1)])
    other = [{"doc_id": 0, "doc_hash": "g", "filter": "none", "metrics": ["f1"], "f1": 0.5}]
    path = tmp_path / "m" / f"samples_words_{DATE}.jsonl"
    path.write_text(json.dumps(other[0]))
    assert told(read_table(tmp_path)) == [
        "outcome is acc in 1 run, f1 in 1 run; name one with --response if they do not compare"
    ]


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("[1]", ".jsonl:2: the line is no JSON object"),
        ('{"doc_id": 1, "acc"', ".jsonl:2: the line is not JSON"),
        ('{"accuracy": 1}', ".jsonl:2: the line is no sample of lm-eval"),
    ],
)
def test_a_damaged_line_is_refused_with_its_place(line: str, where: str, tmp_path: Path) -> None:
    path = evaluated(tmp_path, [sample(0)])
    path.write_text(path.read_text() + line)
    with pytest.raises(TableError) as refused:
        read_table(tmp_path)
    assert where in str(refused.value)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_damaged_results_are_refused_with_their_file(content: bytes, tmp_path: Path) -> None:
    evaluated(tmp_path, [sample(0)])
    (tmp_path / f"results_{DATE}.json").write_bytes(content)
    with pytest.raises(TableError, match="results_2026"):
        read_table(tmp_path)


def test_an_empty_samples_file_is_a_run_without_items(tmp_path: Path) -> None:
    evaluated(tmp_path / "a", [])
    evaluated(tmp_path / "b", [sample(0), sample(1)])
    frame = read_table(tmp_path)
    assert frame["item"].isna().tolist() == [True, False, False]


def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="--log_samples"):
        read_table(tmp_path, reader="lm_eval")
