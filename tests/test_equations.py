"""Calibration equations: what they compute, held against plain Python, and what is refused, by its place."""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.equation import DEEPEST, LONGEST, MOST_NODES, EquationError, compile_equation

SCK_1_1_NOISE = "table((0, 50), (2, 55), (3, 57), (6, 58), (20, 59), (40, 60))"


def value_of(equation: str, raw: float, **others: float) -> float:
    columns = {key: np.array([other]) for key, other in others.items()}
    return float(compile_equation(equation)(np.array([raw]), columns)[0])


# A tree of the language is ("number", 2.5), ("name", "raw"), ("+", left, right), ("if", "<", a, b, then, else), ….
NAMES = ("raw", "t", "h")
NUMBERS = st.one_of(
    st.integers(-1000, 1000).map(float), st.floats(-1e6, 1e6, allow_subnormal=False), st.sampled_from([0.0, 1e300])
)
LEAVES = st.one_of(
    NUMBERS.map(lambda number: ("number", number)), st.sampled_from(NAMES).map(lambda name: ("name", name))
)
POINTS = st.dictionaries(st.integers(-50, 50).map(float), st.integers(-50, 50).map(float), min_size=2, max_size=5)


def branches(trees: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*", "/", "**", "pow", "min", "max"]), trees, trees),
        st.tuples(st.sampled_from(["neg", "abs", "exp", "ln", "log10", "sqrt"]), trees),
        st.tuples(st.just("clamp"), trees, trees, trees),
        st.tuples(st.just("if"), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), trees, trees, trees, trees),
        st.tuples(st.just("table"), trees, POINTS.map(lambda points: tuple(points.items()))),
    )


TREES = st.recursive(LEAVES, branches, max_leaves=12)


def written(tree: Any) -> str:
    match tree:
        case "number", number:
            return repr(number)
        case "name", name:
            return name
        case ("+" | "-" | "*" | "/" | "**") as operator, a, b:
            return f"(({written(a)}) {operator} ({written(b)}))"
        case "neg", a:
            return f"-({written(a)})"
        case "if", comparison, a, b, then, other:
            return f"if({written(a)} {comparison} {written(b)}, {written(then)}, {written(other)})"
        case "table", a, points:
            return f"table({written(a)}, {', '.join(map(str, points))})"
        case name, *arguments:
            return f"{name}({', '.join(map(written, arguments))})"
    raise AssertionError(tree)


def finite(operation: Callable[[], float]) -> float:
    """What a step gives, or NaN where it has no finite result."""
    try:
        result = operation()
    except (ArithmeticError, ValueError):
        return math.nan
    return result if isinstance(result, float) and math.isfinite(result) else math.nan


def interpolated(x: float, points: list[tuple[float, float]]) -> float:
    if x <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if x < right:
            return low + (high - low) / (right - left) * (x - left)
    return points[-1][1]


def computed(tree: Any, names: dict[str, float]) -> float:
    """The same in plain Python, one number at a time."""
    match tree:
        case "number", number:
            return number
        case "name", name:
            return names[name]
        case "if", comparison, a, b, then, other:
            left, right = computed(a, names), computed(b, names)
            if math.isnan(left) or math.isnan(right):
                return math.nan
            holds = {
                "<": left < right,
                "<=": left <= right,
                ">": left > right,
                ">=": left >= right,
                "==": left == right,
                "!=": left != right,
            }[comparison]
            return computed(then if holds else other, names)
        case "table", a, points:
            x = computed(a, names)
            return math.nan if math.isnan(x) else interpolated(x, sorted(points))
    name, *arguments = tree
    values = [computed(argument, names) for argument in arguments]
    if any(map(math.isnan, values)):
        return math.nan
    match name, values:
        case "+", [a, b]:
            return finite(lambda: a + b)
        case "-", [a, b]:
            return finite(lambda: a - b)
        case "*", [a, b]:
            return finite(lambda: a * b)
        case "/", [a, b]:
            return finite(lambda: a / b)
        case "**" | "pow", [a, b]:
            return finite(lambda: a**b)
        case "clamp", [a, low, high]:
            return min(max(a, low), high)
        case "neg", [a]:
            return -a
        case (("min" | "max" | "abs"), _):
            return float({"min": min, "max": max, "abs": abs}[name](*values))
        case _, [a]:
            return finite(lambda: {"exp": math.exp, "ln": math.log, "log10": math.log10, "sqrt": math.sqrt}[name](a))
    raise AssertionError(tree)


def robust(tree: Any, names: dict[str, float]) -> bool:
    """Whether a last digit more or less changes nothing but last digits: no tie, no cancellation, no overflow near."""
    nudged = {name: number * (1 + 1e-12) for name, number in names.items()}
    exact, near = computed(tree, names), computed(tree, nudged)
    return math.isnan(exact) == math.isnan(near) and (math.isnan(exact) or math.isclose(exact, near, rel_tol=1e-9))


@given(TREES, st.tuples(*[st.floats(-1e4, 1e4, allow_subnormal=False) for _ in NAMES]))
def test_an_equation_computes_what_plain_python_does(tree: Any, numbers: tuple[float, ...]) -> None:
    names = dict(zip(NAMES, numbers, strict=True))
    equation = written(tree)
    expected = computed(tree, names)

    value = value_of(equation, **names)

    if robust(tree, names):
        assert math.isnan(expected) == math.isnan(value), equation
        assert math.isnan(expected) or math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-9), equation


@given(TREES, st.lists(st.floats(-1e4, 1e4, allow_subnormal=False), min_size=1, max_size=20))
def test_a_column_is_computed_as_its_numbers_one_by_one(tree: Any, raws: list[float]) -> None:
    equation = written(tree)
    column = np.array(raws)

    values = compile_equation(equation)(column, {"t": column / 2, "h": -column})

    one_by_one = [value_of(equation, raw, t=raw / 2, h=-raw) for raw in raws]
    np.testing.assert_allclose(values, one_by_one, rtol=1e-12)


@given(TREES)
def test_no_equation_gives_a_number_that_is_not_finite(tree: Any) -> None:
    values = compile_equation(written(tree))(np.array([1e308, 0.0, -1.0]), {"t": np.ones(3), "h": np.zeros(3)})

    assert not np.isinf(values).any()


@pytest.mark.parametrize(
    ("equation", "raw", "value"),
    [
        ("175.72 / 65536 * raw - 53", 25768, 16.09107908),  # the reference's worked examples
        ("raw / 10", 509, 50.9),
        (SCK_1_1_NOISE, 4, 57.33333333),
        (SCK_1_1_NOISE, -1, 50),
        (SCK_1_1_NOISE, 4000, 60),
        ("table(raw / 10, (10, 1), (0, 0))", 25, 0.25),
        ("if(0 < raw <= 10, 1, 2)", 10, 1),
        ("if(0 < raw <= 10, 1, 2)", 0, 2),
        ("if(raw > 0, ln(raw), 0)", -5, 0),
        ("clamp(raw, 0, 100)", 120, 100),
        ("2 ** 3 ** 0", 0, 2),
        ("-2 ** 2", 0, -4),
        ("\n  raw\n + 1 ", 1, 2),
    ],
)
def test_an_equation_means_what_its_documentation_says(equation: str, raw: float, value: float) -> None:
    assert value_of(equation, raw) == pytest.approx(value)


@pytest.mark.parametrize(
    "equation",
    ["1 / raw", "1 / (1 / raw)", "ln(raw)", "sqrt(raw - 1)", "exp(1e9 * (raw + 1))", "9 ** 9 ** 9", "0 * 1e300 ** 2"],
)
def test_a_step_without_a_finite_result_makes_the_value_null(equation: str) -> None:
    assert math.isnan(value_of(equation, 0))


@pytest.mark.parametrize(
    "equation", ["raw + t", "if(t > 1, 1, 2)", "min(raw, t)", "clamp(raw, t, 5)", "table(t, (0, 0), (1, 1))"]
)
def test_a_missing_component_makes_the_value_null(equation: str) -> None:
    assert math.isnan(value_of(equation, 1, t=math.nan))


def test_a_missing_component_that_is_not_needed_spoils_nothing() -> None:
    assert value_of("if(raw > 0, raw, t)", 1, t=math.nan) == 1


def test_an_equation_names_the_components_it_uses() -> None:
    assert compile_equation('raw * h / component("pm_avg_2.5") + max(t, 1)').inputs == {"h", "pm_avg_2.5", "t"}


HOSTILE = {
    "code": "__import__('os').system('true')",
    "file": "open('/etc/passwd').read()",
    "dunder": "().__class__.__bases__",
    "attribute": "raw.tofile",
    "subscript": "raw[0]",
    "lambda": "(lambda: 1)()",
    "comprehension": "sum(x for x in raw)",
    "string": "'a' * 1000000000",
    "format string": "f'{raw}'",
    "bytes": "component(b'raw')",
    "walrus": "(raw := 1)",
    "statement": "raw; raw",
    "comment": "raw # more",
    "line": "raw\\\n",
    "keyword": "pow(a=1)",
    "star": "min(*raw)",
    "yield": "yield raw",
    "await": "await raw",
    "boolean": "True",
    "none": "None",
    "imaginary": "1j",
    "ellipsis": "...",
    "huge number": "9" * LONGEST,
    "huge exponent": "1e999999999",
    "huge hexadecimal": "0x" + "f" * 3000,
    "tower of powers": "9" + "**9" * 1000,
    "1 MB": "raw+" * 262_144 + "raw",
    "parentheses": "(" * 2000 + ")" * 2000,
    "signs": "-" * (LONGEST - 1) + "1",
    "calls": "abs(" * 900 + "raw" + ")" * 900,
    "additions": "raw" + "+1" * (MOST_NODES // 2),
    "fullwidth letters": "ｒａｗ",  # Python's parser would read them as raw
    "look-alike letters": "r\u0430w",  # a Cyrillic letter
    "digits of another script": "raw + ١",
    "invisible": "raw\u200b",
    "right to left": "raw \u202e+ 1",
    "nul": "raw\0",
    "surrogate": "raw\ud800",
    "unbalanced": "1) + (2",
    "two expressions": "raw, raw",
    "unknown function": "eval(raw)",
    "empty": " \n ",
    "and": "raw and raw",
    "bare comparison": "raw > 1",
    "membership": "if(raw in raw, 1, 2)",
    "ternary": "1 if raw else 2",
    "table of names": "table((0, raw), (1, 1))",
    "table of one": "table((0, 1))",
    "table with a doublet": "table((0, 1), (0, 2))",
    "too few arguments": "clamp(raw, 1)",
    "floor division": "raw // 2",
    "matrix": "raw @ raw",
    "exclusive or": "raw ^ 2",
}


@pytest.mark.parametrize("equation", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_refused_by_its_place(equation: str) -> None:
    with pytest.raises(EquationError, match=r"^at character \d+: .") as refusal:
        compile_equation(equation)

    assert 1 <= refusal.value.position <= len(equation) + 1
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("raw * foo(1)", "at character 7: there is no function 'foo': use abs, clamp"),
        ("1 + raw^2", "at character 8: '^' has no meaning here; write pow(a, b)"),
        ("(raw + 1", "at character 9: a closing parenthesis is missing"),
        ("if(raw, 1, 2)", "at character 1: write if(a < b, then, else)"),
        ("x" * (LONGEST + 1), f"at character {LONGEST + 1}: an equation has at most {LONGEST} characters"),
        ("abs(" * (DEEPEST + 1) + ")" * (DEEPEST + 1), f"more than {DEEPEST} levels"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(equation: str, message: str) -> None:
    with pytest.raises(EquationError, match=re.escape(message)):
        compile_equation(equation)
