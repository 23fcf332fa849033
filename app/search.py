"""From what a person types to the words that the database looks for. Pure."""

import re
import unicodedata

import iso3166

_MOST_WORDS = 20


def words_of(text: str) -> list[str]:
    """Return the words of a text without accents and case, as the database's plain_words has them."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not "\u0300" <= letter <= "\u036f")
    return re.findall(r"[^\W_]+", plain.lower())[:_MOST_WORDS]


def tsquery_of(text: str) -> str | None:
    """Return a tsquery that finds what has every word of a text, or a country of that name; None without a word.

    A word stands for whatever begins with it.
    """
    words = words_of(text)
    parts = [f"'{word}':*" + "".join(f" | '/{code}'" for code in _countries(word)) for word in words]
    return " & ".join(f"({part})" for part in parts) or None


def _countries(word: str) -> list[str]:
    """Return the codes of the countries whose name has a word that begins so; of long beginnings only."""
    if len(word) < 3:
        return []
    return [
        country.alpha2.lower()
        for country in iso3166.countries
        if any(name.startswith(word) for name in words_of(country.name))
    ]
