"""Small changes of one function: which there are, where they fit, and the function's new source.

    python benchmarks/mutants.py --help    # the benchmark that uses them

A function's body counts without its docstring and without annotations: they change nothing at run
time. Its nodes are numbered in the order of `ast.walk`.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import textwrap
from collections.abc import Callable, Iterator

Function = ast.FunctionDef

FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
OPPOSITE = {
    "max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum", "any": "all",
    "all": "any", "argmax": "argmin", "argmin": "argmax", "zeros": "ones", "ones": "zeros",
}  # fmt: skip
BOUNDED = ("clip", "clamp")
TEXT = (ast.JoinedStr, ast.List, ast.ListComp, ast.Tuple)
UNTOUCHED = (ast.Raise, ast.Assert, ast.JoinedStr)
CHECK = "strict"
"""Of `zip`: without it, correct code does the same."""


def _comparison(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    node.ops[0] = FLIPPED[type(node.ops[0])]()
    return True


def _arithmetic(node: ast.AST) -> bool:
    if not isinstance(node, ast.BinOp | ast.AugAssign) or type(node.op) not in SWAPPED:
        return False
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    if any(_is_text(side) for side in sides):
        return False
    node.op = SWAPPED[type(node.op)]()
    return True


def _is_text(node: ast.expr) -> bool:
    """Whether only `+` makes sense of this operand."""
    constant = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    return constant or isinstance(node, TEXT)


def _constant(node: ast.AST) -> bool:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, bool | int | float):
        return False
    node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    return True


def _condition(node: ast.AST) -> bool:
    if isinstance(node, ast.If | ast.IfExp):
        node.test = _negated(node.test)
        return True
    if isinstance(node, ast.comprehension) and node.ifs:
        node.ifs[0] = _negated(node.ifs[0])
        return True
    return False


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(op=ast.Not(), operand=test)


def _boolean(node: ast.AST) -> bool:
    if not isinstance(node, ast.BoolOp):
        return False
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return True


def _opposite(node: ast.AST) -> bool:
    """`max` for `min`, `any` for `all`."""
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Name) and function.id in OPPOSITE:
        function.id = OPPOSITE[function.id]
        return True
    if isinstance(function, ast.Attribute) and function.attr in OPPOSITE:
        function.attr = OPPOSITE[function.attr]
        return True
    return False


def _argument(node: ast.AST) -> bool:
    """Without the last keyword, or without the last bound."""
    if not isinstance(node, ast.Call) or len(node.args) + len(node.keywords) < 2:
        return False
    if node.keywords and node.keywords[-1].arg not in (None, CHECK):
        del node.keywords[-1]
        return True
    if isinstance(node.func, ast.Attribute) and node.func.attr in BOUNDED:
        node.args[-1] = ast.Constant(None)
        return True
    return False


def _return_not(node: ast.AST) -> bool:
    if not isinstance(node, ast.Return) or node.value is None:
        return False
    node.value = _negated(node.value)
    return True


def _return_minus(node: ast.AST) -> bool:
    if not isinstance(node, ast.Return) or node.value is None:
        return False
    node.value = ast.UnaryOp(op=ast.USub(), operand=node.value)
    return True


OPERATORS: dict[str, Callable[[ast.AST], bool]] = {
    "comparison": _comparison,
    "arithmetic": _arithmetic,
    "constant": _constant,
    "condition": _condition,
    "boolean": _boolean,
    "opposite": _opposite,
    "argument": _argument,
    "return not": _return_not,
    "return minus": _return_minus,
}
"""Each changes a node in place and says whether it could."""

NEGATABLE = {
    "bool": "return not", "int": "return minus", "float": "return minus",
    "Array": "return minus", "Floats": "return minus", "Tensor": "return minus",
}  # fmt: skip
"""What the negation of a returned value is, by the annotation of what is returned."""


class _Unannotated(ast.NodeTransformer):
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return ast.Pass()
        return ast.Assign(targets=[node.target], value=self.visit(node.value))

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node


def bare(function: Function) -> Function:
    """A copy without the docstring and without annotations in the body."""
    changed = copy.deepcopy(function)
    if ast.get_docstring(changed) is not None:
        del changed.body[0]
    changed.body = [_Unannotated().visit(statement) for statement in changed.body]
    return ast.fix_missing_locations(changed)


def body_hash(function: Function) -> str:
    """Equal for bodies that do the same in the same words."""
    text = "\n".join(ast.unparse(statement) for statement in bare(function).body)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _nodes(function: Function) -> list[ast.AST]:
    return list(ast.walk(ast.Module(body=function.body, type_ignores=[])))


def spots(function: Function) -> Iterator[tuple[str, int]]:
    """Every operator and number of a node that it changes, messages and asserts left alone."""
    body = bare(function)
    nodes = _nodes(body)
    skipped = [child for node in nodes if _is_untouched(node) for child in ast.walk(node)]
    returned = ast.unparse(function.returns) if function.returns else ""
    left_alone = {id(node) for node in skipped}
    for number, node in enumerate(nodes):
        for name, change in OPERATORS.items():
            fits = not name.startswith("return") or NEGATABLE.get(returned) == name
            if fits and id(node) not in left_alone and change(copy.deepcopy(node)):
                yield name, number


def _is_untouched(node: ast.AST) -> bool:
    return isinstance(node, UNTOUCHED) or (isinstance(node, ast.keyword) and node.arg == CHECK)


def mutated(function: Function, operator: str, number: int) -> Function:
    """The function with one node changed."""
    changed = bare(function)
    if not OPERATORS[operator](_nodes(changed)[number]):
        raise ValueError(f"{operator} does not change node {number} of {function.name}")
    return ast.fix_missing_locations(changed)


def difference(function: Function, changed: Function) -> tuple[str, str]:
    """The one line that differs, before and after."""
    lines = (ast.unparse(version).splitlines() for version in (bare(function), changed))
    pairs = ((a.strip(), b.strip()) for a, b in zip(*lines, strict=True) if a != b)
    return next(pairs)


def first_statement(function: Function, statement: str) -> Function:
    """The function with a statement before all others."""
    changed = bare(function)
    changed.body[:0] = ast.parse(statement).body
    return ast.fix_missing_locations(changed)


def with_function(source: str, function: Function, changed: Function) -> str:
    """The module's source in which the changed function stands for the lines of the old one."""
    docstring = function.body[:1] if ast.get_docstring(function) is not None else []
    whole = copy.copy(changed)
    whole.body = docstring + changed.body
    lines = source.splitlines(keepends=True)
    first = min([function.lineno, *(line.lineno for line in function.decorator_list)])
    text = textwrap.indent(ast.unparse(whole), " " * function.col_offset) + "\n"
    return "".join([*lines[: first - 1], text, *lines[function.end_lineno :]])
