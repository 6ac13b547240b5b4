"""The process that `verifiers.pool` starts: reads JSON lines of texts, writes JSON judgements.

Standard output belongs to the protocol; whatever a judge prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from ablatekit_rft.tasks.query import Judgement, Verdict, unreadable_key
from ablatekit_rft.tasks.verifiers.latex import last_boxed

Judge = Callable[..., Judgement]


def math_judge(gold: str, text: str) -> Judgement:
    """math-verify: equal as mathematics; an error where the gold answer cannot be read."""
    from math_verify import parse, verify

    format_ok = last_boxed(text) is not None
    key = parse(f"${gold}$", parsing_timeout=None)
    # What cannot be parsed comes back as its own text.
    if all(isinstance(part, str) for part in key):
        return unreadable_key(gold, format_ok=format_ok)
    answer = parse(text, parsing_timeout=None)
    right = bool(answer) and verify(key, answer, timeout_seconds=None)
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok)


def find_judge(name: str) -> Judge:
    """The judge of a name: `math`, `reasoning-gym/TASK`, or a reference to a user's function."""
    if name == "math":
        import math_verify  # noqa: F401  (a process is ready once what it needs is imported)

        return math_judge
    if name.startswith("reasoning-gym/"):
        from ablatekit_rft.tasks.reasoning import judge_of

        return judge_of(name)
    from ablatekit_rft.tasks.verifiers.user import judge_of as user_judge_of

    return user_judge_of(name)


def main() -> None:
    """Judge until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    judge = find_judge(sys.argv[1])
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        try:
            judgement = judge(*json.loads(line))
        except Exception as error:  # noqa: BLE001  (a user's function and sympy raise anything)
            sys.stderr.write(f"the verifier {sys.argv[1]} failed: {error!r}\n")
            judgement = Judgement(Verdict.ERROR, format_ok=False, why=_in_short(error))
        said = {
            "verdict": judgement.verdict.value,
            "format_ok": judgement.format_ok,
            "why": judgement.why,
        }
        print(json.dumps(said), file=answers, flush=True)


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


if __name__ == "__main__":
    main()
