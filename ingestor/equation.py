"""The language of calibration equations: what `value` is, given `raw` and the reading it came in.

An equation is one expression.

    raw                                             the number as the device sent it
    175.72 / 65536 * raw - 53                       scaled
    raw - 0.3 * (t - 25)                            corrected by the component `t` of the same reading
    raw / component("pm_avg_2.5")                   a key that is no plain word
    if(h > 85, raw / (1 + 0.02 * (h - 85)), raw)    one of two
    table((0, 50), (2, 55), (20, 59))               linear between the points, level beyond them

Names      `raw`; any other name is the key of a component of the same device, and stands for what that component sent
           at the same time, as received.
Operators  + - * / ** and parentheses; a ** b is pow(a, b).
Functions  abs(a) exp(a) ln(a) log10(a) sqrt(a) pow(a, b) min(a, b, …) max(a, b, …)
           clamp(a, low, high) is min(max(a, low), high).
           if(a < b, then, else) with < <= > >= == !=, also as a chain: if(0 < raw <= 10, …).
           table((in, out), …) looks `raw` up, table(a, (in, out), …) something else; the points are numbers.

The value is null, and the raw kept, where a component that is needed is missing, or where a step has no finite result:
a division by zero, a logarithm of what is not positive, a root of what is negative, an overflow. A branch of `if` that
is not taken spoils nothing.

Python's own parser reads the text, and what it finds is built into numpy calls node by node from the lists below:
nothing is ever evaluated as Python. Pure.
"""

import ast
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from sql.arrays import Floats

LONGEST = 4000  # characters
MOST_NODES = 1000  # operators, calls, names and numbers; a point of a table is three
DEEPEST = 50  # levels of nesting

Columns = Mapping[str, Floats]
# Of columns by their names, and of an equation's numbers by their places.
Step = Callable[[Mapping[Any, Floats]], Floats]


class EquationError(ValueError):
    """A text is no equation; the message says what is wrong, and at which character."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"at character {position}: {reason}")
        self.position = position


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Form:
    """What equations have in common that differ in their numbers alone; those of a table belong to the form."""

    inputs: frozenset[str]  # keys of the other components it uses
    _step: Step

    def __call__(self, numbers: Sequence[Any], raw: Floats, others: Columns) -> Floats:
        """Return the values for a column of raws and columns of inputs; NaN stands for null in and out.

        A number is one for all of them, or a column too.
        """
        with np.errstate(all="ignore"):
            return np.broadcast_to(self._step({**others, **dict(enumerate(numbers)), "raw": raw}), raw.shape)


@dataclass(frozen=True, slots=True)
class Equation:
    """A compiled equation."""

    text: str
    form: Form
    numbers: tuple[float, ...]

    @property
    def inputs(self) -> frozenset[str]:
        """The keys of the other components it uses."""
        return self.form.inputs

    def __call__(self, raw: Floats, others: Columns) -> Floats:
        """Return the values for a column of raws and columns of its inputs; NaN stands for null in and out."""
        return self.form([np.array(number) for number in self.numbers], raw, others)


_forms: WeakValueDictionary[str, Form] = WeakValueDictionary()


@lru_cache(maxsize=10_000)
def compile_equation(text: str) -> Equation:
    """Read an equation. Raises EquationError."""
    if len(text) > LONGEST:
        raise EquationError(LONGEST + 1, f"an equation has at most {LONGEST} characters, this one has {len(text)}")
    if not text.strip():
        raise EquationError(1, "an equation is not empty: `raw` alone keeps what the device sent")
    compiler, tree = _Compiler(), _parse(text)
    step = compiler.number(tree, 1)
    form = _forms.setdefault(ast.dump(tree), Form(frozenset(compiler.names - {"raw"}), step))
    return Equation(text, form, tuple(compiler.numbers))


_STRANGER = re.compile(r"""[^\sA-Za-z0-9_.,()+\-*/<>=!"']""", re.ASCII)
_WORD = re.compile(r""""[^"]*"|'[^']*'|\bif\b|[()]""", re.ASCII)
_IF = "IF"  # `if` is no name to Python's parser; this is, and as long, so that positions hold


def _parse(text: str) -> ast.expr:
    stranger = _STRANGER.search(text)
    if stranger:
        hint = "; write pow(a, b)" if stranger[0] == "^" else ""
        raise EquationError(stranger.start() + 1, f"{stranger[0]!a} has no meaning here{hint}")
    _check_parentheses(text)
    spaced = re.sub(r"\s", " ", text, flags=re.ASCII)
    renamed = _WORD.sub(lambda word: _IF if word[0] == "if" else word[0], spaced)
    try:
        # in parentheses a leading space is no indentation; and a node's offset, from 0, is its character's, from 1
        return ast.parse(f"({renamed})", mode="eval").body
    except SyntaxError as error:
        position = min(max((error.offset or 2) - 1, 1), len(text) + 1)
        raise EquationError(position, f"not an equation: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError):
        raise EquationError(1, "too deeply nested") from None


def _check_parentheses(text: str) -> None:
    depth = 0
    for word in _WORD.finditer(text):
        depth += (word[0] == "(") - (word[0] == ")")
        if depth < 0:
            raise EquationError(word.start() + 1, "this parenthesis closes nothing")
        if depth > DEEPEST:
            raise EquationError(word.start() + 1, f"more than {DEEPEST} levels of parentheses")
    if depth:
        raise EquationError(len(text) + 1, "a closing parenthesis is missing")


def _finite(result: Floats) -> Floats:
    return np.where(np.isfinite(result), result, np.nan)


def _power(base: Floats, exponent: Floats) -> Floats:
    # IEEE 754 has NaN ** 0 == 1 ** NaN == 1, but what is missing makes the value null
    return np.where(np.isnan(base) | np.isnan(exponent), np.nan, np.power(base, exponent))


_OPERATORS: dict[type[ast.operator], Callable[..., Floats]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: _power,
}
_COMPARISONS: dict[type[ast.cmpop], np.ufunc] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_UNARY: dict[str, np.ufunc] = {
    "abs": np.absolute,
    "exp": np.exp,
    "ln": np.log,
    "log10": np.log10,
    "sqrt": np.sqrt,
}
_FOLDED: dict[str, np.ufunc] = {"min": np.minimum, "max": np.maximum}  # both hand NaN on
_SHAPES = {
    **{name: f"{name}(a)" for name in _UNARY},
    **{name: f"{name}(a, b, …)" for name in _FOLDED},
    "pow": "pow(a, b)",
    "clamp": "clamp(a, low, high)",
    "if": "if(a < b, then, else)",
    "table": "table((in, out), (in, out), …) with numbers for points",
    "component": 'component("key")',
}


class _Compiler:
    """Builds the steps of one equation, takes its numbers out of the tree, and counts what it meets."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.numbers: list[float] = []
        self._nodes = 0

    def number(self, node: ast.expr, depth: int) -> Step:
        """Compile what stands for a number."""
        self._count(node, depth)
        match node:
            case ast.Constant():
                place = len(self.numbers)
                self.numbers.append(_constant(node))
                node.value = 0
                return lambda columns: columns[place]
            case ast.Name(id=key):
                return self._component(key)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign):
                operand = self.number(node.operand, depth + 1)
                return operand if isinstance(sign, ast.UAdd) else lambda columns: np.negative(operand(columns))
            case ast.BinOp() if type(node.op) in _OPERATORS:
                return _applied(
                    _OPERATORS[type(node.op)], self.number(node.left, depth + 1), self.number(node.right, depth + 1)
                )
            case ast.Call(func=ast.Name(id=name), keywords=[]):
                return self._call(node, name, depth)
            case ast.Compare():
                raise _error(node, "a comparison stands only as the first argument of if(a < b, then, else)")
            case ast.Tuple():
                raise _error(node, "a pair stands only in table((in, out), …)")
        raise _error(node, "only numbers, names of components, + - * / ** and functions make an equation")

    def _count(self, node: ast.expr, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _error(node, f"an equation has at most {MOST_NODES} parts")
        if depth > DEEPEST:
            raise _error(node, f"more than {DEEPEST} levels of nesting")

    def _component(self, key: str) -> Step:
        self.names.add(key)
        return lambda columns: columns[key]

    def _call(self, node: ast.Call, name: str, depth: int) -> Step:
        name = "if" if name == _IF else name
        if name not in _SHAPES:
            raise _error(node, f"there is no function {name!r}: use {', '.join(sorted(_SHAPES))}")
        match name, node.args:
            case "component", [ast.Constant(value=str() as key)]:
                return self._component(key)
            case "table", _:
                return self._table(node, depth)
            case "if", [ast.Compare() as condition, then, other]:
                return _chosen(
                    self._condition(condition, depth + 1), self.number(then, depth + 1), self.number(other, depth + 1)
                )
            case "if" | "component", _:
                raise _error(node, f"write {_SHAPES[name]}")
        arguments = [self.number(argument, depth + 1) for argument in node.args]
        match name, arguments:
            case _, [a] if name in _UNARY:
                return _applied(_UNARY[name], a)
            case _, [_, _, *_] if name in _FOLDED:
                function = _FOLDED[name]
                return lambda columns: reduce(function, (argument(columns) for argument in arguments))
            case "pow", [a, b]:
                return _applied(_power, a, b)
            case "clamp", [a, low, high]:
                return lambda columns: np.minimum(np.maximum(a(columns), low(columns)), high(columns))
        raise _error(node, f"write {_SHAPES[name]}")

    def _condition(self, node: ast.Compare, depth: int) -> Step:
        """Compile a comparison: 1 where it holds, 0 where not, NaN where a side is missing."""
        self._count(node, depth)
        comparisons = [_COMPARISONS.get(type(operator)) for operator in node.ops]
        sides = [self.number(side, depth + 1) for side in (node.left, *node.comparators)]
        if None in comparisons:
            raise _error(node, "compare with < <= > >= == !=")

        def holds(columns: Columns) -> Floats:
            values = [side(columns) for side in sides]
            links = zip(comparisons, values[:-1], values[1:], strict=True)
            truth = reduce(np.logical_and, (compare(a, b) for compare, a, b in links if compare))
            return np.where(reduce(np.logical_or, map(np.isnan, values)), np.nan, truth)

        return holds

    def _table(self, node: ast.Call, depth: int) -> Step:
        of_raw = not node.args or isinstance(node.args[0], ast.Tuple)
        looked_up = self._component("raw") if of_raw else self.number(node.args[0], depth + 1)
        points: list[tuple[float, float]] = []
        for pair in node.args if of_raw else node.args[1:]:
            if not isinstance(pair, ast.Tuple) or len(pair.elts) != 2:
                raise _error(pair, f"write {_SHAPES['table']}")
            for side in pair.elts:
                self._count(side, depth + 2)
            self._count(pair, depth + 1)
            points.append((_constant(pair.elts[0]), _constant(pair.elts[1])))
        if len(points) < 2:
            raise _error(node, "a table has two points or more")
        inputs, outputs = np.array(sorted(points)).T
        if not np.diff(inputs).all():
            raise _error(node, "two points of the table have the same input")
        return lambda columns: np.interp(looked_up(columns), inputs, outputs)


def _applied(function: Callable[..., Floats], *arguments: Step) -> Step:
    return lambda columns: _finite(function(*(argument(columns) for argument in arguments)))


def _chosen(condition: Step, then: Step, other: Step) -> Step:
    def step(columns: Columns) -> Floats:
        truth = condition(columns)
        return np.where(np.isnan(truth), np.nan, np.where(truth == 1, then(columns), other(columns)))

    return step


def _constant(node: ast.expr) -> float:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_constant(operand)
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
            raise _error(node, "this number is too large")
    raise _error(node, "a number belongs here")


def _error(node: ast.expr, reason: str) -> EquationError:
    return EquationError(max(node.col_offset, 1), reason)
