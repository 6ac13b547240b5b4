"""What is proposed for real logs of evaluations and searches, and the effects that follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablatekit.analysis.proposal.propose import propose
from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.read import read_table
from ablatekit.analysis.tables.words import Direction

FOREIGN = Path(__file__).parents[2] / "reference" / "foreign"
EXPECTED: dict[str, tuple[str, Direction, list[str], list[str], dict[str, float]]] = {
    "lm_eval": ("outcome", "higher", ["recipe"], ["dataset", "model"], {"norm": 0.25}),
    "inspect": ("outcome", "higher", ["prompt"], ["dataset", "model"], {"steps": 0.2}),
    "optuna/grid.log": ("loss", "lower", ["optimizer", "layers"], [], {"adam": -0.25, "2": -0.1}),
}
"""By source: response, direction, factors, contexts, planted effects by level."""


@pytest.mark.parametrize("source", EXPECTED)
def test_a_proposal_for_real_logs_finds_what_was_planted(source: str) -> None:
    response, direction, factors, contexts, planted = EXPECTED[source]
    frame = read_table(FOREIGN / source)
    proposal = propose(frame)
    assert proposal.responses == (response,)
    assert proposal.directions[response] == direction
    assert list(proposal.factors) == factors
    assert list(proposal.contexts) == contexts
    analysis = analyse_table(
        read_table(FOREIGN / source, [*factors, *contexts]),
        response,
        factors,
        contexts,
        proposal.baselines,
    )
    rows = analysis["responses"][response]["effects"]
    narrow = [r for r in rows if (r["estimand"], r["inference"]) == ("average", "narrow")]
    assert {r["level"]: r["estimate"] for r in narrow} == pytest.approx(planted)
    assert {r["verdict"] for r in narrow} == {"helps"}


def test_one_column_that_says_how_runs_ended_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = [
        f"r{n},{'crashed' if n == 7 else 'finished'},2026-11-30,9,{'ab'[n % 2]},{n},0.{n}"
        for n in range(8)
    ]
    path.write_text("\n".join(["Name,State,Created,Runtime,opt,seed,acc", *rows]))
    codes = [message["code"] for message in propose(read_table(path)).warnings]
    assert "runs_not_ended" in codes
    assert "status_not_read" not in codes
