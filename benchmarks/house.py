"""The house in numbers: circles, sizes, crowded folders, names that stand twice, comments.

    python benchmarks/house.py

Product code is what the two distributions install. Exit code 1 where a rule of tests/house does not
hold; what has no rule is printed to be read.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PRODUCT = {
    "ablatekit": ROOT,
    "ablatekit_rft": ROOT / "backends" / "rft",
    "ablatekit_command": ROOT / "backends" / "command",
    "ablatekit_trl": ROOT / "backends" / "trl",
}
MODULE_LINES, FUNCTION_LINES, MEDIAN_LINES, FOLDER_MODULES, SMALL_MODULE = 600, 60, 10, 15, 60
CROWDED = ("figures", "settings", "levels")
"""Folders that may hold many modules side by side: one figure, group of settings or level each."""

VAGUE = ("found", "one", "own")
DENSE = ("schur.py", "information.py", "decode_cache.py")


@dataclass(frozen=True)
class Module:
    """One Python file; `name` is dotted for product code and empty elsewhere."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def shown(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))


def sources() -> list[Module]:
    """Every Python file that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [Module(path, _dotted(path)) for path in paths if path.is_file()]


def _dotted(path: Path) -> str:
    for package, folder in PRODUCT.items():
        if (folder / package) in path.parents:
            parts = path.relative_to(folder).with_suffix("").parts
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return ""


def product(modules: Sequence[Module]) -> list[Module]:
    """Those that are installed."""
    return [module for module in modules if module.name]


def without_tests(modules: Sequence[Module]) -> list[Module]:
    """Product code, benchmarks and scripts."""
    return [module for module in modules if "tests" not in module.path.relative_to(ROOT).parts]


def functions(module: Module) -> Iterator[tuple[str, int]]:
    """Name and length in lines, docstring excluded, of every function."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            last = body[-1].end_lineno or node.lineno
            header = body[0].lineno - node.lineno if body is node.body else 1
            yield node.name, last - body[0].lineno + 1 + header


def long_functions(modules: Sequence[Module]) -> list[str]:
    return [
        f"{module.shown}:{name}"
        for module in modules
        for name, lines in functions(module)
        if lines > FUNCTION_LINES
    ]


def long_modules(modules: Sequence[Module]) -> list[str]:
    return [module.shown for module in modules if module.lines > MODULE_LINES]


def median_function(modules: Sequence[Module]) -> float:
    return median(lines for module in modules for _, lines in functions(module))


def crowded_folders(modules: Sequence[Module]) -> list[str]:
    """Folders of product code with more modules side by side than a reader takes in."""
    counts = Counter(
        module.path.parent for module in modules if module.path.name not in ("__init__.py",)
    )
    return [
        f"{folder.relative_to(ROOT).as_posix()}: {count}"
        for folder, count in sorted(counts.items())
        if count > FOLDER_MODULES and folder.name not in CROWDED
    ]


def imports(modules: Sequence[Module]) -> dict[str, set[str]]:
    """The modules that each one names in an import: for types or inside a function, too."""
    known = {module.name for module in modules}
    graph: dict[str, set[str]] = {}
    for module in modules:
        named = {target for node in ast.walk(module.tree) for target in _targets(node, known)}
        graph[module.name] = named - {module.name}
    return graph


def _targets(node: ast.AST, known: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            below = f"{node.module}.{alias.name}"
            if below in known or node.module in known:
                yield below if below in known else node.module


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other."""
    reach = {name: _reached(graph, name) for name in graph}
    groups = {
        frozenset(other for other in reach[name] if name in reach[other])
        for name in graph
        if name in reach[name]
    }
    return sorted(sorted(group) for group in groups)


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph[name]
    return reached


def same_classes(modules: Sequence[Module]) -> dict[str, list[str]]:
    """Names of classes that several modules define, with the modules."""
    return _several(
        (node.name, module.name)
        for module in modules
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
    )


def same_aliases(modules: Sequence[Module]) -> dict[str, list[str]]:
    """Names of type aliases that several modules define, with the modules."""
    return _several(
        (node.target.id, module.name)
        for module in modules
        for node in module.tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.annotation) == "TypeAlias"
    )


def _several(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for name, module in pairs:
        places[name].append(module)
    return {name: several for name, several in sorted(places.items()) if len(several) > 1}


def vague_names(modules: Sequence[Module]) -> dict[str, int]:
    """How often names that say little stand in the code."""
    names = Counter(
        token.string
        for module in modules
        for token in module.tokens
        if token.type == tokenize.NAME and token.string in VAGUE
    )
    return {name: names[name] for name in VAGUE}


def comments_per_thousand(module: Module) -> float:
    comments = sum(token.type == tokenize.COMMENT for token in module.tokens)
    return 1000 * comments / module.lines


def mergeable(modules: Sequence[Module], graph: Mapping[str, set[str]]) -> list[str]:
    """Small modules that only one other imports, with that one."""
    importers: dict[str, list[str]] = defaultdict(list)
    for name, named in graph.items():
        for target in named:
            importers[target].append(name)
    return [
        f"{module.shown} ({module.lines} lines): {importers[module.name][0]}"
        for module in modules
        if module.lines < SMALL_MODULE
        and module.path.name != "__init__.py"
        and len(importers[module.name]) == 1
    ]


def _print(title: str, entries: Sequence[str]) -> int:
    print(f"{title}: {len(entries)}")
    for entry in entries:
        print(f"    {entry}")
    return len(entries)


def _places(several: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{name}: {', '.join(modules)}" for name, modules in several.items()]


def main() -> int:
    everything = sources()
    ours, code = product(everything), without_tests(everything)
    core = [module for module in ours if module.name.split(".")[0] == "ablatekit"]
    graph = imports(ours)
    print(f"{len(ours)} modules of product code, {sum(module.lines for module in ours)} lines")
    broken = _print("circles", [" <-> ".join(circle) for circle in circles(graph)])
    broken += _print(f"modules over {MODULE_LINES} lines", long_modules(code))
    broken += _print(f"functions over {FUNCTION_LINES} lines", long_functions(code))
    broken += _print(f"folders with more than {FOLDER_MODULES} modules", crowded_folders(ours))
    broken += _print("classes of one name in the core", _places(same_classes(core)))
    _print("type aliases of one name in the core", _places(same_aliases(core)))
    middle = median_function(code)
    print(f"median function: {middle:g} lines")
    print(", ".join(f"{name}: {count}" for name, count in vague_names(ours).items()))
    for module in ours:
        if module.path.name in DENSE:
            print(
                f"comments per 1,000 lines of {module.shown}: {comments_per_thousand(module):.0f}"
            )
    _print(f"modules under {SMALL_MODULE} lines that only one imports", mergeable(ours, graph))
    return int(broken > 0 or middle > MEDIAN_LINES)


if __name__ == "__main__":
    sys.exit(main())
