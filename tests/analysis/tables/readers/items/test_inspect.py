"""Logs of Inspect: scores from summaries, status, retries, and archives that are damaged."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.read import read_table
from ablatekit.analysis.tables.readers.base import DIRECTIONS, MESSAGES, ROLES
from ablatekit.analysis.tables.readers.items import archive
from ablatekit.errors import TableError
from ablatekit.report.language.sentences import say

REAL = Path(__file__).parents[4] / "reference" / "foreign" / "inspect"


def header(status: str = "success", **spec: Any) -> dict[str, Any]:
    known = {"task": "sums", "model": "mockllm/a", "created": "2026-11-30T10:00:00+00:00"}
    return {"version": 2, "status": status, "eval": {**known, **spec}}


def summary(item: object, value: object = "C", epoch: int = 1, scorer: str = "match") -> Any:
    scores = {scorer: {"value": value}}
    return {"id": item, "epoch": epoch, "input": f"{item}?", "scores": scores}


def logged(path: Path, members: Mapping[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            packed.writestr(name, text)
    return path


def log(path: Path, samples: list[Any], head: Mapping[str, Any] | None = None) -> Path:
    return logged(path, {"summaries.json": samples, "header.json": head or header()})


def told(frame: pd.DataFrame) -> list[str]:
    statements: list[Statement] = frame.attrs[MESSAGES]
    return [say(message, "run") for message in statements]


@pytest.mark.parametrize("response", ["outcome", "match"])
def test_real_logs_give_the_planted_effect(response: str) -> None:
    frame = read_table(REAL)
    assert len(frame) == 16 * 5 * 2, "logs, questions, epochs; one log is JSON"
    analysis = analyse_table(frame, response, ["prompt"], ["model", "dataset"])
    part = analysis["responses"][response]
    effect = part["effects"][0]
    assert effect["level"] == "steps"
    assert effect["estimate"] == pytest.approx(0.2)
    assert effect["verdict"] == "helps"
    assert part["items"]["model"] is not None


def test_real_logs_say_what_their_columns_are() -> None:
    frame = read_table(REAL)
    roles = frame.attrs[ROLES]
    settings = ("task", "model", "prompt", "temperature", "epochs", "task_args.dataset", "dataset")
    assert {roles[name] for name in settings} == {"setting"}
    assert roles["seed"] == "seed"
    assert {roles[name] for name in ("match", "brevity", "outcome")} == {"metric"}
    assert set(roles) <= set(frame.columns)
    assert frame.attrs[DIRECTIONS] == {"match": "higher", "outcome": "higher"}
    assert frame.attrs[MESSAGES] == []
    assert (frame["outcome"] == frame["match"]).all()
    assert set(frame["status"]) == {"success"}
    assert sorted(set(frame["sample"])) == [1, 2]


def test_transcripts_are_not_opened_where_summaries_have_the_scores(tmp_path: Path) -> None:
    members = {
        "samples/q_epoch_1.json": b"no json",
        "summaries.json": [summary("q"), summary("r", "I")],
        "header.json": header(),
    }
    frame = read_table(logged(tmp_path / "a.eval", members))
    assert frame["outcome"].tolist() == [1.0, 0.0]


def test_samples_serve_where_an_old_log_has_no_summaries(tmp_path: Path) -> None:
    members = {
        "samples/q_epoch_1.json": summary("q"),
        "samples/r_epoch_1.json": summary("r", "P"),
        "header.json": header(),
    }
    assert read_table(logged(tmp_path / "a.eval", members))["outcome"].tolist() == [1.0, 0.5]


def test_a_log_that_is_not_finished_is_read_from_its_journal(tmp_path: Path) -> None:
    members: dict[str, Any] = {"_journal/start.json": {"version": 2, "eval": header()["eval"]}}
    members |= {f"_journal/summaries/{n}.json": [summary(n)] for n in (10, 9)}
    frame = read_table(logged(tmp_path / "a.eval", members))
    assert frame["item"].tolist() == ["9", "10"]
    assert set(frame["status"]) == {"unfinished"}


@pytest.mark.parametrize(
    ("value", "number"),
    [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (True, 1.0), (0.25, 0.25), ("0.75", 0.75),
     ("yes", 1.0), ("NO", 0.0)],
)  # fmt: skip
def test_scores_count_as_inspect_counts_them(value: object, number: float, tmp_path: Path) -> None:
    frame = read_table(log(tmp_path / "a.eval", [summary("q", value), summary("r")]))
    assert frame["outcome"].tolist() == [number, 1.0]


def test_scores_of_parts_are_columns(tmp_path: Path) -> None:
    value = {"style": 0.5, "facts": {"dates": 1}}
    frame = read_table(log(tmp_path / "a.eval", [summary("q", value), summary("r", [0.1, 0.2])]))
    assert frame["match.style"].tolist()[0] == 0.5
    assert frame["match.facts.dates"].tolist()[0] == 1.0
    assert frame["match.1"].tolist()[1] == 0.2


def test_the_headline_of_a_log_is_its_outcome(tmp_path: Path) -> None:
    sample = {**summary("q"), "scores": {"a": {"value": 0.25}, "b": {"value": 0.75}}}
    head = {**header(), "results": {"headline": {"score": "b"}}}
    frame = read_table(log(tmp_path / "a.eval", [sample, {**sample, "id": "r"}], head))
    assert set(frame["outcome"]) == {0.75}


def test_scores_that_are_no_numbers_are_missing_and_told(tmp_path: Path) -> None:
    samples = [summary("q", "good"), summary("r", float("nan")), summary("s", None), summary("t")]
    frame = read_table(log(tmp_path / "a.eval", samples))
    assert frame["outcome"].isna().tolist() == [True, True, True, False]
    assert told(frame) == [
        "match: 'good' in 1 row counts as missing, being no number",
        "3 rows of 1 run have no outcome and count as missing",
    ]


def test_mixed_scorers_between_logs_are_told(tmp_path: Path) -> None:
    log(tmp_path / "a.eval", [summary("q")])
    log(tmp_path / "b.eval", [summary("q", 0.5, scorer="judge")])
    frame = read_table(tmp_path)
    assert "outcome is match in 1 run, judge in 1 run" in told(frame)[0]
    assert "outcome" not in frame.attrs[DIRECTIONS]


def test_a_sample_that_stands_twice_counts_once(tmp_path: Path) -> None:
    frame = read_table(log(tmp_path / "a.eval", [summary("q"), summary("r"), summary("q", "I")]))
    assert frame["outcome"].tolist() == [0.0, 1.0]
    assert told(frame) == ["a.eval: 1 row repeats an item and sample; the last one counts"]


def test_items_of_one_name_with_another_input_are_told(tmp_path: Path) -> None:
    log(tmp_path / "a.eval", [summary(1), summary(2)])
    log(tmp_path / "b.eval", [summary(1), {**summary(2), "input": "something else"}])
    (message,) = told(read_table(tmp_path))
    assert message.startswith("sums: 2 had another input in another run; items are paired by name")


def test_a_copy_of_an_evaluation_counts_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        log(tmp_path / f"{name}.eval", [summary("q")], header(eval_id="e1"))
    frame = read_table(tmp_path)
    assert frame["run"].tolist() == ["a"]
    assert told(frame) == ["b.eval is left out: another file holds the same evaluation"]


def test_logs_of_one_name_are_two_runs(tmp_path: Path) -> None:
    log(tmp_path / "a.eval", [summary("q")], header(eval_id="e1"))
    (tmp_path / "a.json").write_text(
        json.dumps({**header(eval_id="e2"), "samples": [summary("q")]})
    )
    (tmp_path / "b").mkdir()
    log(tmp_path / "b" / "a.eval", [summary("q")], header(eval_id="e3"))
    assert read_table(tmp_path)["run"].tolist() == ["a.eval", "a.json", "b/a"]


def test_failed_runs_stay_unless_they_were_retried(tmp_path: Path) -> None:
    log(tmp_path / "a.eval", [summary("q")], header("error", task_id="t1"))
    later = header(task_id="t1", created="2026-11-30T12:00:00+00:00")
    log(tmp_path / "b.eval", [summary("q"), summary("r")], later)
    log(tmp_path / "c.eval", [], header("cancelled", task_id="t2", model="mockllm/b"))
    frame = read_table(tmp_path)
    assert frame["run"].tolist() == ["b", "b", "c"]
    assert frame["status"].tolist() == ["success", "success", "cancelled"]
    assert told(frame) == ["a is left out: a later log is its retry"]


def test_a_run_without_items_is_counted_as_failed(tmp_path: Path) -> None:
    for seed in (0, 1):
        for prompt in ("plain", "steps"):
            samples = [summary(n, float(n < 2 + seed + (prompt == "steps"))) for n in range(8)]
            head = header(task_args={"prompt": prompt}, model_generate_config={"seed": seed})
            log(tmp_path / f"{prompt}-{seed}.eval", samples, head)
    log(tmp_path / "z.eval", [], header("error", task_args={"prompt": "plain"}))
    analysis = analyse_table(read_table(tmp_path), "outcome", ["prompt"])
    assert (analysis["counts"]["failed"], analysis["counts"]["analysed"]) == (1, 4)
    effect = analysis["responses"]["outcome"]["effects"][0]
    assert effect["estimate"] == pytest.approx(0.125)


def test_names_of_arguments_that_clash_are_told_apart(tmp_path: Path) -> None:
    head = header(task_args={"temperature": "hot"}, model_generate_config={"temperature": 0.5})
    frame = read_table(log(tmp_path / "a.eval", [summary("q"), summary("r")], head))
    assert frame["task_args.temperature"].tolist() == ["hot"] * 2
    assert frame["generate.temperature"].tolist() == [0.5] * 2


def damaged(path: Path) -> dict[str, bytes]:
    """A real archive, damaged in several ways."""
    whole = path.read_bytes()
    flipped = bytearray(whole)
    start = whole.index(b"summaries.json", whole.index(b"_journal/summaries/1.json") + 30)
    flipped[start + 60] ^= 0xFF
    return {"cut": whole[: len(whole) // 2], "flipped": bytes(flipped), "empty": b""}


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty"])
def test_a_damaged_archive_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    shutil.copytree(REAL, tmp_path / "logs")
    victim = sorted((tmp_path / "logs").glob("*.eval"))[3]
    victim.write_bytes(damaged(victim)[kind])
    with pytest.raises(TableError) as refused:
        read_table(tmp_path / "logs")
    assert victim.name in str(refused.value)
    assert "inspect log recover" in str(refused.value)


def test_a_member_larger_than_a_summary_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    path = log(tmp_path / "a.eval", [summary("q" * 2000)])
    with pytest.raises(TableError, match="more than can be read"):
        read_table(path)


def test_a_member_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = log(tmp_path / "a.eval", [summary("q")])
    size = len(json.dumps([summary("q")]).encode())
    whole = path.read_bytes()
    assert whole.count(size.to_bytes(4, "little")) >= 2
    path.write_bytes(whole.replace(size.to_bytes(4, "little"), (size - 9).to_bytes(4, "little")))
    with pytest.raises(TableError, match=r"a\.eval: the log is damaged"):
        read_table(path)


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"notes.txt": b"x"}, "it has no header"),
        ({"header.json": b"no json"}, "header.json is not JSON"),
        ({"header.json": [1]}, "header.json holds no object"),
        ({"header.json": {"eval": {}}}, "it names no task or no model"),
        ({"header.json": header(), "summaries.json": b"["}, "summaries.json is not JSON"),
    ],
)
def test_an_archive_that_is_no_log_is_refused(
    members: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError) as refused:
        read_table(logged(tmp_path / "a.eval", members))
    assert rule in str(refused.value)
    assert "a.eval" in str(refused.value)


def test_garbage_among_samples_is_passed_over(tmp_path: Path) -> None:
    frame = read_table(log(tmp_path / "a.eval", [None, 3, summary("q"), summary("r")]))
    assert frame["item"].tolist() == ["q", "r"]


def test_fields_of_an_unexpected_kind_do_no_harm(tmp_path: Path) -> None:
    odd = [{**summary("q"), "epoch": 10**30}, {**summary("r"), "input": float("inf")}]
    head = header(scorers=3, task_args=[1], model_roles={"judge": 5}, created=None, dataset="x")
    frame = read_table(log(tmp_path / "a.eval", odd, {**head, "results": {"headline": 1}}))
    assert frame["sample"].tolist() == [1, 1]
    assert frame["outcome"].tolist() == [1.0, 1.0]


def test_other_json_beside_logs_is_none(tmp_path: Path) -> None:
    log(tmp_path / "a.eval", [summary("q"), summary("r")])
    (tmp_path / "other.json").write_text('{"version": 1}')
    (tmp_path / "folder.eval").mkdir()
    assert read_table(tmp_path)["run"].tolist() == ["a", "a"]


def test_a_folder_with_logs_of_two_tools_is_refused_with_their_names(tmp_path: Path) -> None:
    log(tmp_path / "a.eval", [summary("q")])
    samples = tmp_path / "samples_sums_2026-11-30T10-00-00.0.jsonl"
    samples.write_text(json.dumps({"doc_id": 0, "acc": 1.0}))
    with pytest.raises(TableError, match=r"several readers know.*inspect, lm_eval"):
        read_table(tmp_path)
    assert len(read_table(tmp_path, reader="inspect")) == 1


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no log of Inspect"):
        read_table(tmp_path, reader="inspect")
