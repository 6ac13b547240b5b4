"""Evaluates planted answers with lm-eval and keeps what it writes: `python make_lm_eval.py FOLDER`.

Needs lm-eval >= 0.4.13, no network. Models small and large, recipes none and norm, seeds 0 and 1,
tasks adding and doubling of eight questions each. Under the strict filter `norm` has two more
of eight right than `none` in every model, task and seed: an effect of .25. The flexible filter has
one more answer right than the strict one everywhere. Seed 1 has one more right than seed 0.
"""

import json
import sys
import tempfile
from pathlib import Path

import lm_eval
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

QUESTIONS = 8
TASK = r"""task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs:
  until: ["\n"]
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
filter_list:
  - name: strict-match
    filter:
      - function: regex
        regex_pattern: "The answer is ([0-9]+)"
      - function: take_first
  - name: flexible-extract
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "([0-9]+)"
      - function: take_first
"""


@register_model("planted")
class Planted(LM):
    def __init__(self, path, recipe, seed, **_):
        super().__init__()
        self.right = {0, 1, *range(2, 2 + int(seed))} | ({4, 5} if recipe == "norm" else set())
        self.right |= {7} if path == "large" else set()

    def generate_until(self, requests, **_):
        return [self.answer(request.doc) for request in requests]

    def answer(self, doc):
        if doc["number"] == 6:
            return f"It is {doc['answer']}"
        return f"The answer is {doc['answer'] if doc['number'] in self.right else 0}"

    def loglikelihood(self, requests, **_):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def write_tasks(folder):
    for name, verb in (("adding", "plus 3"), ("doubling", "times 2")):
        docs = []
        for number in range(QUESTIONS):
            answer = number + 13 if name == "adding" else 2 * (number + 10)
            docs.append({"number": number, "question": f"{number + 10} {verb}?", "answer": answer})
        data = folder / f"{name}.json"
        data.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
        (folder / f"{name}.yaml").write_text(TASK.format(name=name, data=data))
    return TaskManager(include_path=str(folder), include_defaults=False)


def evaluate(tasks, folder, path, recipe, seed):
    tracker = EvaluationTracker(output_path=str(folder / f"{recipe}-{seed}"))
    results = lm_eval.simple_evaluate(
        model="planted",
        model_args=f"path={path},recipe={recipe},seed={seed}",
        tasks=["adding", "doubling"],
        task_manager=tasks,
        log_samples=True,
        bootstrap_iters=0,
        evaluation_tracker=tracker,
        random_seed=seed,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])


def without_machine(folder):
    """Results say which machine and paths made them, which is nobody's business."""
    for file in folder.rglob("results_*.json"):
        results = json.loads(file.read_text())
        results["pretty_env_info"] = ""
        for config in results["configs"].values():
            config["dataset_kwargs"] = {}
            config.pop("metadata", None)
        file.write_text(json.dumps(results, indent=1))


def main(folder):
    with tempfile.TemporaryDirectory() as made:
        tasks = write_tasks(Path(made))
        for path in ("small", "large"):
            for recipe in ("none", "norm"):
                for seed in (0, 1):
                    evaluate(tasks, folder, path, recipe, seed)
    without_machine(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
