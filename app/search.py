"""From what a person types to the words that the database looks for, and to cities of the world. Pure."""

import heapq
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import iso3166
import numpy as np

from app.location import cities

_MOST_WORDS = 20
_ACCENTS = re.compile("[\u0300-\u036f]+")
_SHORTEST_OF_A_CITY = 3  # letters: fewer begin thousands of names
_MOST_LINES = 1000  # to look through for several words


class _Names(NamedTuple):
    """What cities are called: a line each, `|munich|munchen|…|` in plain words; those with most people stand first."""

    text: str  # begins and ends with a line end
    starts: np.ndarray[tuple[int], np.dtype[np.int64]]  # of the lines
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]]  # of the cities in the table


def words_of(text: str) -> list[str]:
    """Return the words of a text without accents and case, as the database's plain_words has them."""
    return re.findall(r"[^\W_]+", _plain(text))[:_MOST_WORDS]


def _plain(text: str) -> str:
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).lower()


def tsquery_of(text: str) -> str | None:
    """Return a tsquery that finds what has every word of a text, or a country of that name; None without a word.

    A word stands for whatever begins with it.
    """
    words = words_of(text)
    parts = [f"'{word}':*" + "".join(f" | '/{code}'" for code in _countries(word)) for word in words]
    return " & ".join(f"({part})" for part in parts) or None


def cities_called(text: str, most: int) -> list[int]:
    """Return the numbers of cities in the table that a text may mean, in any language.

    First those that are called so; then those whose name begins so, and those known by another that does; then those
    of whose name each word begins a word, or the country's name. Of each kind those with most people are first.
    """
    words = words_of(text)
    name = " ".join(words)
    if len(name) < _SHORTEST_OF_A_CITY and name.isascii():
        return []
    found: dict[int, None] = {}
    for lines in _lines_with(f"|{name}|"), _lines_with(f"\n|{name}"), _lines_with(f"|{name}"), _lines_of(words):
        for line in lines:
            if len(found) == most:
                break
            found[line] = None
    return [int(_names().numbers[line]) for line in found]


def _lines_with(part: str) -> Iterator[int]:
    text, starts, _ = _names()
    place = text.find(part)
    while place >= 0:
        place += part.startswith("\n")
        yield int(np.searchsorted(starts, place, "right")) - 1
        place = text.find(part, text.index("\n", place))


def _lines_of(words: Sequence[str]) -> Iterator[int]:
    text, starts, numbers = _names()
    countries = {word: {code.upper() for code in _countries(word)} for word in words}
    rarest = max([word for word in words if not countries[word]] or words, key=len)  # as a rule
    for line in islice(heapq.merge(_lines_with(f"|{rarest}"), _lines_with(f" {rarest}")), _MOST_LINES):
        names = text[starts[line] : text.index("\n", starts[line])].replace("|", "| ").split("|")
        country = cities().countries[numbers[line]]
        if any(all(f" {word}" in called or country in countries[word] for word in words) for called in names):
            yield line


@lru_cache(maxsize=1)
def _names() -> _Names:
    table = cities()
    numbers = np.argsort(-table.populations, kind="stable")
    plain = re.sub(r"(?:[^\w\n]|_)+", " ", _plain("\n".join(table.names))).split("\n")
    lines = [f"|{plain[number].strip()}|{table.other_names[number]}|\n" for number in numbers]
    starts = np.cumsum([1, *map(len, lines)])[:-1]
    return _Names("\n" + "".join(lines), starts, numbers)


def _countries(word: str) -> list[str]:
    """Return the codes of the countries whose name has a word that begins so; of long beginnings only."""
    if len(word) < 3:
        return []
    return [
        country.alpha2.lower()
        for country in iso3166.countries
        if any(name.startswith(word) for name in words_of(country.name))
    ]
