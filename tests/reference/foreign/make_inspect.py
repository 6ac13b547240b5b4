"""Evaluates planted answers with Inspect and keeps its logs: `python make_inspect.py FOLDER`.

Needs inspect-ai >= 0.3.285, no network: the models are mocks. Models small and large, prompts plain
and steps, two seeds, two data sets of five questions each, two epochs. `steps` has one more of five
right than `plain` in every model, data set, seed and epoch: an effect of .2. The last log is JSON.
"""

import os
import re
import sys
from pathlib import Path

import inspect_ai
from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, match, mean, scorer
from inspect_ai.solver import generate, prompt_template

QUESTIONS = 5


@scorer(metrics=[mean()])
def brevity():
    async def score(state, _):
        return Score(value=1.0 / len(state.output.completion.split()))

    return score


@task
def sums(dataset: str, prompt: str):
    offset = {"adding": 20, "doubling": 0}[dataset]
    samples = [
        Sample(id=f"q{n}", input=f"{dataset} {n}?", target=str(2 * n + offset))
        for n in range(QUESTIONS)
    ]
    template = {"plain": "{prompt}", "steps": "{prompt} Step by step."}[prompt]
    return Task(
        dataset=MemoryDataset(samples, name=dataset),
        solver=[prompt_template(template), generate()],
        scorer=[match(numeric=True), brevity()],
        epochs=Epochs(2, "mean"),
    )


def planted(size, seed):
    def answer(messages, *_):
        dataset, number, steps = re.fullmatch(
            r"(\w+) (\d+)\?( Step by step\.)?", messages[-1].text
        ).groups()
        right = {0} | ({1} if seed else set()) | ({3} if steps else set())
        right |= {4} if size == "large" else set()
        value = 2 * int(number) + {"adding": 20, "doubling": 0}[dataset]
        said = value if int(number) in right else 999
        output = ModelOutput.from_content(model="mockllm", content=f"ANSWER: {said}")
        output.usage = ModelUsage(input_tokens=8, output_tokens=2, total_tokens=10)
        return output

    return answer


def main(folder):
    folder = folder.resolve()
    os.chdir(Path(__file__).parent)  # logs name the script from here
    for size in ("small", "large"):
        for seed in (0, 1):
            config = GenerateConfig(temperature=0.5, seed=seed)
            for dataset in ("adding", "doubling"):
                for prompt in ("plain", "steps"):
                    model = get_model(
                        f"mockllm/{size}",
                        config=config,
                        memoize=False,
                        custom_outputs=planted(size, seed),
                    )
                    planned = sums(dataset=dataset, prompt=prompt)
                    last = (size, seed, dataset, prompt) == ("large", 1, "doubling", "steps")
                    (log,) = inspect_ai.eval(
                        planned,
                        model=model,
                        log_dir=str(folder),
                        log_format="json" if last else "eval",
                        display="none",
                    )
                    assert log.status == "success", log.error


if __name__ == "__main__":
    main(Path(sys.argv[1]))
