"""The shipped base models: the stored files themselves must be in the band where RFT learns."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from ablatekit_rft.basemodels import (
    CharTokenizer,
    UnknownBaseModelError,
    UnknownCharacterError,
    catalogue,
    load,
    model_info,
)
from ablatekit_rft.basemodels.architectures import (
    StoredWeightsError,
    as_stored,
    fresh,
    from_folder,
    to_folder,
)
from ablatekit_rft.basemodels.catalogue import FAMILIES, FILES, content_of, record
from ablatekit_rft.pretrain import (
    PRETRAINED_ON,
    Corpus,
    PretrainingError,
    Recipe,
    build_corpora,
    complete,
    draw_batch,
    encode,
    favour_the_laggards,
    pass_at_1,
    pretrain,
    train_step,
)
from ablatekit_rft.tasks import get_task
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel

BAND = (0.2, 0.4)
PROBED = 512
SMALL = Recipe(pool=200, check_items=8, batch_size=8, check_every=100, max_steps=3)


@pytest.fixture(scope="module")
def models() -> dict[str, PreTrainedModel]:
    return {name: load(name)[0] for name in FAMILIES}


def test_the_catalogue_lists_three_families() -> None:
    known = catalogue()
    assert list(known) == ["tiny-llama", "tiny-qwen3", "tiny-neox"]
    for name, info in known.items():
        config = json.loads((info.path / "config.json").read_text("utf-8"))
        assert config["model_type"] == info.family == FAMILIES[name]


def test_an_unknown_name_gets_the_nearest_or_all_known_names() -> None:
    with pytest.raises(UnknownBaseModelError) as error:
        model_info("tiny-lama")
    assert "Did you mean 'tiny-llama'?" in str(error.value)
    with pytest.raises(UnknownBaseModelError, match=r"Known: .*tiny-neox"):
        model_info("unlike-any")
    with pytest.raises(UnknownBaseModelError):
        load("gpt-2")
    with pytest.raises(UnknownBaseModelError):
        fresh("gpt-2", seed=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_stored_files_are_those_that_the_recipe_recorded(name: str) -> None:
    assert model_info(name).content == record()["models"][name]["content"]


def test_content_follows_the_bytes_of_both_files(tmp_path: Path) -> None:
    to_folder(fresh("tiny-neox", seed=1), tmp_path)
    before = content_of(tmp_path)
    for name in FILES:
        original = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(original + b" ")
        assert content_of(tmp_path) != before
        (tmp_path / name).write_bytes(original)
    assert content_of(tmp_path) == before


def test_stored_weights_are_float16_and_small() -> None:
    total = 0
    for info in catalogue().values():
        total += sum((info.path / name).stat().st_size for name in FILES)
        weights = load_file(info.path / "model.safetensors")
        assert {weight.dtype for weight in weights.values()} == {torch.float16}
    assert total < 0.9e6


@pytest.mark.parametrize("name", FAMILIES)
def test_a_loaded_model_is_float32_without_dropout(
    models: dict[str, PreTrainedModel], name: str
) -> None:
    model = models[name]
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert not model.training
    dropouts = [part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)]
    assert not any(dropouts)
    assert getattr(model.config, "attention_dropout", 0.0) == 0.0
    assert model.num_parameters() == record()["models"][name]["parameters"]


@pytest.mark.parametrize("name", FAMILIES)
def test_transformers_reads_the_same_model_from_the_files(
    models: dict[str, PreTrainedModel], name: str
) -> None:
    theirs = AutoModelForCausalLM.from_pretrained(model_info(name).path, dtype=torch.float32)
    ours = models[name].state_dict()
    assert theirs.state_dict().keys() == ours.keys()
    assert all(torch.equal(part, ours[key]) for key, part in theirs.state_dict().items())


@pytest.mark.parametrize("name", FAMILIES)
def test_eager_and_sdpa_attention_agree(models: dict[str, PreTrainedModel], name: str) -> None:
    tokens = torch.tensor([CharTokenizer().encode("cabde>abcde")])
    eager, _ = load(name, attn_implementation="eager")
    with torch.no_grad():
        gap = eager(input_ids=tokens).logits - models[name](input_ids=tokens).logits
    assert gap.abs().max() < 1e-4


@pytest.mark.parametrize("task", PRETRAINED_ON)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_stored_file_reaches_its_pass_at_1(
    models: dict[str, PreTrainedModel], name: str, task: str
) -> None:
    queries = get_task(task).items("test", PROBED)
    generator = torch.Generator().manual_seed(123)
    reached = pass_at_1(models[name], get_task(task), queries, generator)
    assert BAND[0] <= reached <= BAND[1]
    recorded = record()["models"][name]["test_pass_at_1"][task]["sampled"]
    noise = math.sqrt(recorded * (1 - recorded) / PROBED)
    assert abs(reached - recorded) < 3.5 * noise


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    load("tiny-llama")
    assert torch.equal(before, torch.get_rng_state())


def test_loading_refuses_weights_of_another_configuration(tmp_path: Path) -> None:
    to_folder(fresh("tiny-neox", seed=1), tmp_path)
    other = model_info("tiny-llama").path / "model.safetensors"
    (tmp_path / "model.safetensors").write_bytes(other.read_bytes())
    with pytest.raises(StoredWeightsError, match=r"config\.json"):
        from_folder(tmp_path, attention="sdpa")


@pytest.mark.parametrize("name", FAMILIES)
def test_storing_and_loading_again_rounds_to_float16_and_nothing_else(
    tmp_path: Path, name: str
) -> None:
    model = fresh(name, seed=3)
    to_folder(model, tmp_path)
    assert bits(from_folder(tmp_path, attention="sdpa")) == bits(as_stored(model))
    assert bits(as_stored(model)) != bits(model)


def test_a_completion_that_does_not_end_is_none(models: dict[str, PreTrainedModel]) -> None:
    assert complete(models["tiny-llama"], ["cabde>"], 2, None) == [None]
    whole = complete(models["tiny-llama"], ["cabde>", "aacbbacc*"], 20, None)
    assert all(text for text in whole)


def test_padding_does_not_change_a_greedy_completion(models: dict[str, PreTrainedModel]) -> None:
    prompts = ["cabde>", "zyxwvutsrq>", "bacab*"]
    for model in models.values():
        alone = [complete(model, [prompt], 16, None)[0] for prompt in prompts]
        assert complete(model, prompts, 16, None) == alone


@pytest.mark.parametrize("name", FAMILIES)
def test_three_steps_of_the_recipe_repeat_bit_for_bit(name: str) -> None:
    first, second = trained(name, SMALL), trained(name, SMALL)
    assert bits(first) == bits(second)
    assert bits(first) != bits(fresh(name, seed=SMALL.seed))


def test_the_recipe_stops_inside_its_band() -> None:
    recipe = Recipe(pool=200, check_items=8, batch_size=4, check_every=1, band=(0.0, 1.0))
    made = pretrain("tiny-neox", recipe, build_corpora(recipe))
    assert made.steps == 1
    assert set(made.pass_at_1) == set(PRETRAINED_ON)


def test_a_recipe_that_never_arrives_says_so() -> None:
    with pytest.raises(PretrainingError, match="3 steps"):
        pretrain("tiny-neox", SMALL, build_corpora(SMALL))


def test_pretraining_items_belong_to_no_rft_split() -> None:
    for corpus in build_corpora(SMALL):
        seen = {query.prompt for query in (*corpus.check, *corpus.pool)}
        rft = {q.prompt for s in ("train", "test") for q in corpus.task.items(s, 2048)}
        assert not seen & rft
        assert not {q.prompt for q in corpus.check} & {q.prompt for q in corpus.pool}


def test_a_task_that_is_ahead_is_drawn_less() -> None:
    corpora = [Corpus(get_task(name), (), ()) for name in PRETRAINED_ON]
    recipe = Recipe(band=(0.2, 0.4), least_weight=0.1)
    favour_the_laggards(corpora, {"letter-sort": 0.1, "letter-count": 0.9}, recipe)
    assert [corpus.weight for corpus in corpora] == [pytest.approx(0.75), 0.1]


def test_only_answers_carry_labels() -> None:
    query = get_task("letter-sort").items("pretrain", 1)[0]
    tokens, mask, labels = encode([query])
    tokenizer = CharTokenizer()
    assert tokenizer.decode(tokens[0].tolist()) == query.prompt + query.gold
    assert labels[labels >= 0].tolist() == tokenizer.encode_answer(query.gold)
    assert mask.all()


def test_the_tokenizer_has_the_documented_ids() -> None:
    tokenizer = CharTokenizer()
    ids = (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id)
    assert (*ids, tokenizer.vocab_size) == (0, 1, 2, 51)
    assert tokenizer.encode("ab>") == [1, 3, 4, 46]


@given(st.text(alphabet=list(CharTokenizer().vocabulary())[3:]))
def test_decoding_undoes_encoding(text: str) -> None:
    tokenizer = CharTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode_answer(text)) == text


def test_an_unknown_character_is_named() -> None:
    with pytest.raises(UnknownCharacterError, match="'É'"):
        CharTokenizer().encode("abÉ")


def test_the_exported_tokenizer_agrees(tmp_path: Path) -> None:
    tokenizer = CharTokenizer()
    exported = tokenizer.to_transformers()
    exported.save_pretrained(tmp_path)
    text = "cab de>|12,(3)*"
    assert exported(text)["input_ids"] == tokenizer.encode(text)
    assert exported.decode(tokenizer.encode(text), skip_special_tokens=True) == text
    specials = (exported.pad_token_id, exported.bos_token_id, exported.eos_token_id)
    assert (*specials, len(exported)) == (0, 1, 2, tokenizer.vocab_size)
    assert exported.padding_side == "left"


def trained(name: str, recipe: Recipe) -> PreTrainedModel:
    """A fresh model after `max_steps` steps of a recipe, without checks."""
    model = fresh(name, seed=recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), betas=recipe.betas)
    generator = torch.Generator().manual_seed(recipe.seed)
    corpora = build_corpora(recipe)
    for _ in range(recipe.max_steps):
        batch = draw_batch(corpora, recipe, generator)
        train_step(model, optimizer, batch, recipe.learning_rate, recipe)
    return model


def bits(model: PreTrainedModel) -> list[bytes]:
    """Every weight of a model, bit for bit."""
    return [weight.detach().numpy().tobytes() for weight in model.parameters()]
