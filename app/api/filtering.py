"""Filters and order of a list, `q[name_cont]=air&q[s]=id desc`, written as for ransack on the Smart Citizen platform.

A key is an attribute, or several joined by `_or_` or by `_and_`, and a predicate; predicates that end in `_any` or
`_all` take several values, `q[name_cont_any][]=air&q[name_cont_any][]=water`. Ransack's groupings are not supported.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from flask import request
from flask_smorest import Api
from marshmallow import ValidationError, fields

from app.policy import is_admin
from ingestor.times import parse_time
from sql.selecting import AllOf, AnyOf, Column, Condition, Operator, Order, Test

_TRUE = ("1", "t", "true", "yes", "on")
_FALSE = ("0", "f", "false", "no", "off")
_LONGEST_VALUE = 1000
_MOST_COMPARISONS = 100
_JOIN = re.compile("_or_|_and_")


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE or text.lower() in _FALSE:
        return text.lower() in _TRUE
    raise ValueError(f"{text[:40]!r} is neither true nor false")


def _integer(text: str) -> int:
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    raise ValueError(f"{text[:40]!r} is no whole number")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no UUID") from None


class Predicate(NamedTuple):
    """What a key's end asks for."""

    operator: Operator
    negated: bool = False
    pattern: str = ""  # of LIKE: where the value stands in it
    asks: bool = False  # the value says whether it shall hold, instead of being compared
    several: bool = False


_COMPARING = {
    "eq": Predicate(Operator.EQUAL),
    "not_eq": Predicate(Operator.EQUAL, negated=True),
    "in": Predicate(Operator.EQUAL, several=True),
    "not_in": Predicate(Operator.EQUAL, negated=True, several=True),
}
_ORDERING = {
    "lt": Predicate(Operator.LESS),
    "lteq": Predicate(Operator.AT_MOST),
    "gt": Predicate(Operator.GREATER),
    "gteq": Predicate(Operator.AT_LEAST),
}
_MATCHING = {  # case never matters, as with ransack on PostgreSQL
    "matches": Predicate(Operator.LIKE, pattern="raw"),
    "does_not_match": Predicate(Operator.LIKE, pattern="raw", negated=True),
    "cont": Predicate(Operator.LIKE, pattern="%{}%"),
    "not_cont": Predicate(Operator.LIKE, pattern="%{}%", negated=True),
    "i_cont": Predicate(Operator.LIKE, pattern="%{}%"),
    "not_i_cont": Predicate(Operator.LIKE, pattern="%{}%", negated=True),
    "start": Predicate(Operator.LIKE, pattern="{}%"),
    "not_start": Predicate(Operator.LIKE, pattern="{}%", negated=True),
    "end": Predicate(Operator.LIKE, pattern="%{}"),
    "not_end": Predicate(Operator.LIKE, pattern="%{}", negated=True),
}
_ASKING = {
    "present": Predicate(Operator.BLANK, negated=True, asks=True),
    "blank": Predicate(Operator.BLANK, asks=True),
    "null": Predicate(Operator.NULL, asks=True),
    "not_null": Predicate(Operator.NULL, negated=True, asks=True),
}
_TRUTH = {
    "true": Predicate(Operator.TRUE, asks=True),
    "not_true": Predicate(Operator.TRUE, negated=True, asks=True),
    "false": Predicate(Operator.TRUE, negated=True, asks=True),
    "not_false": Predicate(Operator.TRUE, asks=True),
}


def _several(predicates: Mapping[str, Predicate]) -> Mapping[str, Predicate]:
    return {
        f"{name}_{word}": predicate._replace(several=True)
        for name, predicate in predicates.items()
        if not predicate.several
        for word in ("any", "all")
    }


class Kind(NamedTuple):
    """A type of attribute: how its values are read, which predicates it has, and how OpenAPI calls it."""

    read: Callable[[str], Any]
    predicates: Mapping[str, Predicate]
    schema: dict[str, str]


def _kind(read: Callable[[str], Any], comparing: Mapping[str, Predicate], **schema: str) -> Kind:
    return Kind(read, {**comparing, **_several(comparing), **_ASKING}, schema)


TEXT = _kind(str, {**_COMPARING, **_ORDERING, **_MATCHING}, type="string")
INTEGER = _kind(_integer, {**_COMPARING, **_ORDERING}, type="integer")
TIME: Kind = _kind(parse_time, {**_COMPARING, **_ORDERING}, type="string", format="date-time")
UUID_ = _kind(_uuid, _COMPARING, type="string", format="uuid")
JSON = Kind(str, _ASKING, {"type": "string"})  # only whether there is one
BOOLEAN = Kind(
    _boolean, {"eq": _COMPARING["eq"], "not_eq": _COMPARING["not_eq"], **_TRUTH, **_ASKING}, {"type": "boolean"}
)


class Filters(NamedTuple):
    """What a request asks of a list."""

    condition: Condition
    order: list[Order]


@dataclass(frozen=True)
class Filterable:
    """The attributes of a list by which clients may filter and sort: columns of a named query, with their kinds.

    `many`: those whose column is an array, of an associated thing of which there may be several.
    """

    attributes: Mapping[str, Kind]
    admin_attributes: Mapping[str, Kind] = field(default_factory=dict)
    many: frozenset[str] = frozenset()

    def read(self, pairs: Iterable[tuple[str, str]], *, admin: bool) -> Filters:
        """Read the parameters of a query string whose keys begin with `q[`. Raises ValueError with a sentence."""
        allowed = {**self.attributes, **self.admin_attributes} if admin else self.attributes
        conditions: dict[str, list[str]] = {}
        order: list[Order] = []
        for name, text in pairs:
            key = re.fullmatch(r"q\[([^\[\]]*)\](\[[^\[\]]*\])?", name)
            if key is None:
                if name.startswith("q["):
                    raise ValueError(f"{name[:80]}: groupings are not supported, send q[attribute_predicate]=value")
                continue
            value = text.strip()
            if "\0" in value or len(value) > _LONGEST_VALUE:
                raise ValueError(f"{name[:80]}: is longer than {_LONGEST_VALUE:,} characters, or holds a NUL character")
            if key[1] in ("s", "sorts"):
                order += self._order(value, allowed)
            elif value:
                conditions.setdefault(key[1], []).append(value)
        asked = sum((1 + len(_JOIN.findall(key))) * len(values) for key, values in conditions.items())
        if asked > _MOST_COMPARISONS:
            raise ValueError(
                f"{asked:,} comparisons of an attribute with a value; at most {_MOST_COMPARISONS} are made"
            )
        return Filters(AllOf([self._condition(key, values, allowed) for key, values in conditions.items()]), order)

    def _condition(self, key: str, values: list[str], allowed: Mapping[str, Kind]) -> Condition:
        name = rf"(?:{'|'.join(allowed)})"
        words = {word for kind in allowed.values() for word in kind.predicates}
        found = re.fullmatch(rf"({name}(?:(?:_or_{name})*|(?:_and_{name})*))_({'|'.join(words)})", key)
        if found is None:
            raise ValueError(f"q[{key[:80]}] is not known here: {self.explain(allowed)}")
        join = AnyOf if "_or_" in found[1] else AllOf
        names = _JOIN.split(found[1])
        return join([self._test(key, name, allowed[name], found[2], values) for name in names])

    def _test(self, key: str, name: str, kind: Kind, word: str, values: list[str]) -> Condition:
        if word not in kind.predicates:
            raise ValueError(f"q[{key[:80]}]: {name} knows {', '.join(kind.predicates)}, not {word}")
        predicate = kind.predicates[word]
        column = Column(name, many=name in self.many)
        tests = [self._compare(key, column, kind, predicate, value) for value in values]
        if not predicate.several:
            return tests[-1]  # as of any parameter sent twice, the last one counts
        every = word.endswith("_all") or word == "not_in"
        return AllOf(tests) if every else AnyOf(tests)

    def _compare(self, key: str, column: Column, kind: Kind, predicate: Predicate, text: str) -> Test:
        try:
            if predicate.asks:
                return Test(column, predicate.operator, negated=predicate.negated is _boolean(text))
            if predicate.pattern:
                return Test(column, predicate.operator, _pattern(predicate.pattern, text), predicate.negated)
            return Test(column, predicate.operator, kind.read(text), predicate.negated)
        except ValueError as error:
            raise ValueError(f"q[{key[:80]}]: {error}") from None

    def _order(self, text: str, allowed: Mapping[str, Kind]) -> Iterator[Order]:
        """Read `name desc`; what is not known is ignored, as on the platform whose wire this is."""
        for part in text.split(","):
            name, _, direction = part.strip().partition(" ")
            if name in allowed and name not in self.many:
                yield Order(Column(name), descending=direction.strip().lower() == "desc")

    def explain(self, allowed: Mapping[str, Kind]) -> str:
        """Say what may be asked."""
        predicates = {
            word: None for kind in allowed.values() for word in kind.predicates if word[-4:] not in ("_any", "_all")
        }
        return (
            f"filter by {', '.join(allowed)}, joined by _or_ or _and_ if several, "
            f"with {', '.join(predicates)}, most of them also with _any and _all"
        )

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of `q`, for the OpenAPI document."""
        keys = {}
        for kind in (TEXT, INTEGER, TIME, UUID_, JSON, BOOLEAN):
            names = "|".join(name for name, of in self.attributes.items() if of is kind)
            if not names:
                continue
            asking = [word for word, predicate in kind.predicates.items() if predicate.asks]
            comparing = [
                word for word, predicate in kind.predicates.items() if not (predicate.asks or predicate.several)
            ]
            join = rf"({names})(_(or|and)_({names}))*"
            keys[rf"^{join}_({'|'.join(asking)})$"] = {"type": "boolean"}
            if comparing:
                keys[rf"^{join}_({'|'.join(comparing)})$"] = {**kind.schema}
        properties = {"s": {"type": "string", "description": "order, such as `name desc`"}}
        return {"type": "object", "properties": properties, "patternProperties": keys, "additionalProperties": False}


def _pattern(pattern: str, text: str) -> str:
    if pattern == "raw":
        # a lone backslash at the end would be an error of PostgreSQL's
        return re.sub(r"(?<!\\)((?:\\\\)*)\\$", r"\1\\\\", text)
    return pattern.format(re.sub(r"([\\%_])", r"\\\1", text))


class FiltersField(fields.Field[Filters]):
    """The parameters `q[…]` of a list, all of them."""

    def __init__(self, filterable: Filterable) -> None:
        super().__init__(metadata={"example": {"id_in": "1", "s": "id desc"}})
        self.filterable = filterable

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Filters:
        try:
            return self.filterable.read(request.args.items(multi=True), admin=is_admin())
        except ValueError as error:
            raise ValidationError(str(error)) from None


def register_fields(api: Api) -> None:
    """Tell the OpenAPI document what our field looks like on the wire."""
    api.register_field(FiltersField, "object", None)
    converter = api.ma_plugin.converter
    converter.add_attribute_function(_schema)
    converter.add_parameter_attribute_function(_style)


def _schema(converter: Any, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
    if not isinstance(field, FiltersField):
        return {}
    can = field.filterable.explain(field.filterable.attributes)
    return {**field.filterable.schema, "description": f"`q[attribute_predicate]=value`: {can}. `q[s]` is the order."}


def _style(converter: Any, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
    return {"style": "deepObject", "explode": True} if isinstance(field, FiltersField) else {}
