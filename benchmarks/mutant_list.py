"""The list of seeded changes: which functions it means, where they are, and how it was drawn.

    python benchmarks/mutants.py --help    # the benchmark that uses it

A function is known by its distribution and its qualified name without the module.
"""

from __future__ import annotations

import ast
import csv
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mutations import Function, body_hash, spots

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("mutants.csv")
SEED = 20
DISTRIBUTIONS = ("ablatekit", "ablatekit_rft")
WORDS = ("str", "str | None", "list[str]", "tuple[str, ...]", "Iterator[str]")


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    distribution: str
    function: str
    operator: str
    node: int
    body: str

    @property
    def key(self) -> str:
        return f"{self.distribution}:{self.function}"


@dataclass(frozen=True)
class Site:
    """Where a function is."""

    module: str
    function: Function


Index = dict[str, list[Site]]
"""The functions of all distributions by distribution and name."""


def read_mutants() -> list[Mutant]:
    """The list beside this script."""
    with LIST.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [
        Mutant(distribution, function, operator, int(node), body)
        for distribution, function, operator, node, body in rows
    ]


def checkout_files() -> list[str]:
    """Files of the checkout that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def distribution_of(name: str) -> str | None:
    """The distribution whose product code this file belongs to."""
    parts = Path(name).parts
    if not name.endswith(".py") or "tests" in parts:
        return None
    return next((one for one in DISTRIBUTIONS if one in parts[:-1]), None)


def index() -> Index:
    """Every function and method of the product code."""
    found: Index = defaultdict(list)
    for name in checkout_files():
        distribution = distribution_of(name)
        if distribution is not None:
            tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
            for qualified, function in _functions(tree):
                found[f"{distribution}:{qualified}"].append(Site(name, function))
    return found


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            methods = (part for part in node.body if isinstance(part, ast.FunctionDef))
            yield from ((f"{node.name}.{method.name}", method) for method in methods)


def locate(mutant: Mutant, known: Index) -> Site | str:
    """The function, or why its change cannot be made."""
    sites = known.get(mutant.key, [])
    same = [site for site in sites if body_hash(site.function) == mutant.body]
    if len(same) == 1:
        return same[0]
    if not sites:
        return "no such function"
    return "several such functions" if same else "body changed"


def top(name: str) -> Path:
    """The folder from which a product file's distribution is imported."""
    parts = Path(name).parts
    return Path(*parts[: parts.index(str(distribution_of(name)))])


def draw(count: int, names: Sequence[str]) -> Iterator[Mutant]:
    """One change in each of so many functions of these files."""
    generator = np.random.default_rng(SEED)
    known = index()
    eligible = [
        (key, sites[0].function)
        for key, sites in sorted(known.items())
        if len(sites) == 1 and sites[0].module in names and _is_eligible(sites[0].function)
    ]
    chosen = generator.choice(len(eligible), size=count, replace=False)
    for key, function in (eligible[number] for number in sorted(chosen)):
        possible: dict[str, list[int]] = defaultdict(list)
        for operator, node in spots(function):
            possible[operator].append(node)
        operator = str(generator.choice(sorted(possible)))
        node = int(generator.choice(possible[operator]))
        distribution, _, qualified = key.partition(":")
        yield Mutant(distribution, qualified, operator, node, body_hash(function))


def _is_eligible(function: Function) -> bool:
    """Neither words for people nor a level's function of the settings, and with something to do."""
    arguments = {argument.arg for argument in function.args.args}
    words = function.returns is not None and ast.unparse(function.returns) in WORDS
    return "settings" not in arguments and not words and any(spots(function))
