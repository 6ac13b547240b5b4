"""What other trainers offer is a setting here or has a reason; none of TRL's offers is missing."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from ablatekit_rft.levels.registry import LEVELS
from ablatekit_rft.peers import KINDS, PEERS, Offer, Peer
from ablatekit_rft.rules import RULES
from ablatekit_rft.settings import RftSettings

from ablatekit.study.settings import flatten_model

BY_NAME = {peer.name: peer for peer in PEERS}
OFFERS = [(peer, offer) for peer in PEERS for offer in peer.offers]
needs_trl = pytest.mark.skipif(
    importlib.util.find_spec("trl") is None,
    reason="no package trl: pip install -c constraints.txt -e '.[dev]', which brings it",
)


def package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.mark.parametrize(("peer", "offer"), OFFERS, ids=lambda one: getattr(one, "name", ""))
def test_an_offer_is_settings_that_run_or_a_reason(peer: Peer, offer: Offer) -> None:
    assert offer.kind in KINDS
    if offer.ours is None:
        assert len(offer.note) > 15, f"{peer.name}: why not?"
        return
    usual = {"rollouts": 8, "minibatches": 2, "queries_per_round": 16}
    settings = flatten_model(RftSettings.from_dotted({**usual, **offer.ours}))
    refused = [rule.name for rule in RULES if rule.kind == "invalid" and rule.applies(settings)]
    assert not refused


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_offers_have_names_of_their_own(peer: Peer) -> None:
    named = [(offer.kind, offer.name) for offer in peer.offers]
    assert len(named) == len(set(named))
    assert {offer.kind for offer in peer.offers} >= {"loss", "advantage", "clip", "KL", "filter"}


def test_a_level_is_not_absent_from_a_trainer_that_offers_it() -> None:
    said = 0
    for stage, levels in LEVELS.items():
        for level in levels:
            for name, text in level.peers.items():
                if BY_NAME[name].offering(stage, level.name):
                    assert not text.startswith("none"), (stage, level.name, name)
                    said += 1
    assert said > 60


def names_in(pattern: str, *files: Path) -> set[str]:
    """Every text between quotes in what the pattern finds."""
    found = (match for file in files for match in re.findall(pattern, file.read_text("utf-8")))
    return {name for match in found for name in re.findall(r'"([\w.-]+)"', match)}


def missing(known: Iterable[str], names: Iterable[str], option: str) -> set[str]:
    return {name for name in names if f"{option}='{name}'" not in known}


@needs_trl
@pytest.mark.parametrize(
    "option",
    [
        "loss_type",
        "importance_sampling_level",
        "scale_rewards",
        "multi_objective_aggregation",
        "vllm_importance_sampling_mode",
    ],
)
def test_every_value_that_trls_grpo_takes_is_in_the_table(option: str) -> None:
    """Read from the source of the installed trainer: a release with another one fails here."""
    file = package("trl") / "trainer" / "grpo_trainer.py"
    pattern = rf"self\.{option} (?:==|!=|in|not in) (\"[\w.-]+\"|[\[(][^\])]+[\])])"
    names = names_in(pattern, file)
    assert len(names) >= 2
    assert not missing({offer.name for offer in BY_NAME["TRL"].offers}, names, option)


@needs_trl
def test_every_trainer_of_trl_is_in_the_table() -> None:
    import trl

    experimental = (package("trl") / "experimental").glob("*/*_trainer.py")
    classes = {
        f"{name} (experimental)"
        for file in experimental
        for name in re.findall(r"^class (\w+Trainer)\b", file.read_text("utf-8"), re.MULTILINE)
        if not hasattr(trl, name)
    }
    classes |= {name for name in trl.__all__ if name.endswith("Trainer")}
    assert len(classes) > 15
    elsewhere = {"GRPOTrainer": "loss_type='grpo'"}
    known = {offer.name for offer in BY_NAME["TRL"].offers}
    assert {elsewhere.get(name, name) for name in classes} <= known


@needs_trl
def test_every_schedule_of_transformers_is_in_the_table() -> None:
    from transformers.trainer_utils import SchedulerType

    known = {offer.name for offer in BY_NAME["TRL"].offers}
    assert not missing(known, [one.value for one in SchedulerType], "lr_scheduler_type")


@needs_trl
def test_the_version_that_was_read_is_the_installed_one() -> None:
    """Another release is read again: its values, its trainers and what its options mean."""
    import trl

    assert BY_NAME["TRL"].version == trl.__version__
