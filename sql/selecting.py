"""Choose rows of a list by conditions that a client names.

The list is a named query, and what may be named are its columns. All text is ours: a condition adds a quoted column
name that the caller has looked up among the list's, and one of the operators below; values travel as parameters.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder

from sql import DictConnection, queries


class Operator(Enum):
    """How a column is tested; the value, where there is one, has the column's type."""

    EQUAL = SQL("{column} = {value}")
    LESS = SQL("{column} < {value}")
    AT_MOST = SQL("{column} <= {value}")
    GREATER = SQL("{column} > {value}")
    AT_LEAST = SQL("{column} >= {value}")
    LIKE = SQL("{column} ILIKE {value}")
    NULL = SQL("{column} IS NULL")
    BLANK = SQL("coalesce({column}::text, '') = ''")
    TRUE = SQL("{column}")


class Column(NamedTuple):
    """A column of a list; `many`: an array, of which one element that passes is enough, and none is as good as null."""

    name: str
    many: bool = False


class Test(NamedTuple):
    """One column compared with one value."""

    column: Column
    operator: Operator
    value: Any = None
    negated: bool = False


class AnyOf(NamedTuple):
    conditions: Sequence["Condition"]


class AllOf(NamedTuple):
    conditions: Sequence["Condition"]


Condition = Test | AnyOf | AllOf
_EVERYTHING = AllOf(())


class Order(NamedTuple):
    column: Column
    descending: bool = False


def select_ids(
    conn: DictConnection,
    listed: str,
    parameters: Mapping[str, Any],
    condition: Condition = _EVERYTHING,
    order: Sequence[Order] = (),
    *,
    limit: int,
    offset: int,
) -> tuple[list[int], int]:
    """Return the ids of one page of the named query `listed`, in order, and how many rows pass the condition.

    Rows without a value come last; what the order leaves open is ordered by id.
    """
    values = dict(parameters)
    source = SQL("FROM ({}) AS listed WHERE {}").format(SQL(_text(listed)), _where(condition, values))
    counted = conn.execute(SQL("SELECT count(*) AS total {}").format(source), values).fetchone()
    total: int = counted["total"] if counted else 0
    if offset >= total:
        return [], total
    values |= {"limit": limit, "offset": offset}
    page = SQL("SELECT listed.id {} ORDER BY {} LIMIT %(limit)s OFFSET %(offset)s").format(source, _order_by(order))
    return [row["id"] for row in conn.execute(page, values)], total


def _text(name: str) -> Any:
    text: str = getattr(queries, name).sql
    return text.rstrip().rstrip(";")


def _where(condition: Condition, values: dict[str, Any]) -> Composable:
    if isinstance(condition, Test):
        return _test(condition, values)
    parts = [SQL("({})").format(_where(part, values)) for part in condition.conditions]
    if isinstance(condition, AnyOf):
        return SQL(" OR ").join(parts) if parts else SQL("false")
    return SQL(" AND ").join(parts) if parts else SQL("true")


def _test(test: Test, values: dict[str, Any]) -> Composed:
    column = Identifier("listed", test.column.name)
    name = f"value_{len(values)}"
    values[name] = test.value
    if not test.column.many:
        passes = test.operator.value.format(column=column, value=Placeholder(name))
    elif test.operator in (Operator.NULL, Operator.BLANK):
        passes = SQL("cardinality({column}) = 0").format(column=column)
    else:
        element = test.operator.value.format(column=SQL("element"), value=Placeholder(name))
        passes = SQL("EXISTS (SELECT FROM unnest({}) AS element WHERE {})").format(column, element)
    return SQL("NOT ({})").format(passes) if test.negated else passes


def _order_by(order: Sequence[Order]) -> Composed:
    parts = [
        SQL("{} DESC NULLS LAST" if part.descending else "{} ASC NULLS LAST").format(
            Identifier("listed", part.column.name)
        )
        for part in order
    ]
    return SQL(", ").join([*parts, SQL("listed.id")])
