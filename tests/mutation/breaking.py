"""A module's path goes in, the places that can be broken and each one's mutant come out."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType

SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """One change: ``inside`` is the function (``Class.name``) whose ``code`` it is, or "" for the module's own."""

    path: Path
    module: str
    line: int
    inside: str
    what: str
    code: CodeType


@lru_cache
def parsed(path: Path) -> ast.Module:
    """The module's tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def sites(path: Path) -> list[int]:
    """Numbers of the nodes (in order of ast.walk) that can be broken."""
    tree = parsed(path)
    skipped = {id(inner) for node in ast.walk(tree) if unbroken(node) for inner in ast.walk(node)}
    return [number for number, node in enumerate(ast.walk(tree)) if id(node) not in skipped and breakable(node)]


def breakable(node: ast.AST) -> bool:
    """Comparisons, sums and products, and/or, numbers and flags, not and minus."""
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in SWAPS
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        return type(node.op) in SWAPS
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, bool)
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub)


def unbroken(node: ast.AST) -> bool:
    """Annotations, messages of errors, a zip's ``strict`` and a record's protection: no change of behaviour."""
    if isinstance(node, ast.keyword) and node.arg in ("strict", "frozen", "slots", "eq", "maxsize"):
        return True
    return isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.arg) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fail"
    )


def mutant(path: Path, short: str, place: int) -> Mutant:
    """The module with one node changed."""
    tree = copy.deepcopy(parsed(path))
    node = list(ast.walk(tree))[place]
    inside = next((name for name, function in functions(tree) if within(node, function)), "")
    what = change(node)
    whole = compile(ast.fix_missing_locations(tree), str(path), "exec")
    code = whole if not inside else next(one for one in codes(whole) if one.co_qualname == inside)
    return Mutant(path, short[:-3].replace("/", ".").removesuffix(".__init__"), node.lineno, inside, what, code)  # type: ignore[attr-defined]


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Functions and methods by their name; not those inside functions."""
    for node in tree.body:
        if isinstance(node, Function):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{one.name}", one) for one in node.body if isinstance(one, Function))


def within(node: ast.AST, function: Function) -> bool:
    """Whether a node is of a function's body, and not of its defaults or decorators."""
    return any(inner is node for statement in function.body for inner in ast.walk(statement))


def codes(code: CodeType) -> Iterator[CodeType]:
    """Code objects inside code objects."""
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from codes(one)


def change(node: ast.AST) -> str:
    """Break the node; what is done to it."""
    before = ast.unparse(node)
    if isinstance(node, ast.Compare):
        node.ops[0] = SWAPS[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else int(str(node.value)) + 1
    elif isinstance(node, ast.UnaryOp):
        minus = isinstance(node.op, ast.USub)
        node.op = ast.UAdd() if minus else ast.Not()
        if not minus:
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    return f"{before} -> {ast.unparse(node)}"[:160]
