"""The process that `verifiers.pool` starts: reads JSON lines of texts, writes JSON judgements.

    python -m ablatekit_rft.tasks.verifiers.child BYTES MODULE:FACTORY [ARGUMENT ...]

The factory, called with the arguments, gives the judge of the texts on a line. Judgements may take
that many bytes of memory beyond what the process needs to start; more is an error of the judgement.
Standard output belongs to the protocol; whatever a judge prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ablatekit_rft.tasks.query import Judgement, Verdict

MOST_TOLD = 3
"""Failures that a process writes to standard error; every judgement says its own."""


def build_judge(factory: str, arguments: Sequence[str]) -> Callable[..., Judgement]:
    """What `module:function` gives for these arguments."""
    module, _, function = factory.partition(":")
    judge: Callable[..., Judgement] = getattr(importlib.import_module(module), function)(*arguments)
    return judge


def limit_memory(more: int) -> None:
    """Let the process take that many bytes more than it has.

    Counted are its private pages (RLIMIT_DATA), not the address space: numpy and torch reserve much
    more of that than they use.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    taken = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = taken + more if hard == resource.RLIM_INFINITY else min(taken + more, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def main() -> None:
    """Judge until standard input ends: an interrupt is for the process that asks to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    memory, factory, *arguments = sys.argv[1:]
    judge = build_judge(factory, arguments)
    limit_memory(int(memory))
    print("ready", file=answers, flush=True)
    failed = 0
    for line in sys.stdin:
        try:
            judgement = judge(*json.loads(line))
        except Exception as error:  # noqa: BLE001  (a user's function and sympy raise anything)
            failed += 1
            if failed <= MOST_TOLD:
                name = " ".join(arguments) or factory
                sys.stderr.write(f"the verifier {name} failed: {error!r}\n")
            judgement = Judgement(Verdict.ERROR, format_ok=False, why=_in_short(error))
        answer = {
            "verdict": judgement.verdict.value,
            "format_ok": judgement.format_ok,
            "why": judgement.why,
        }
        print(json.dumps(answer), file=answers, flush=True)


def _in_short(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it needs more memory than a judgement may take"
    return f"{type(error).__name__}: {error}"[:300]


if __name__ == "__main__":
    main()
