"""Where a device is, said in the ways that people ask for: a geohash, a city and country, a blurred place.

Cities are GeoNames' of 5,000 people and more (geonames.org, CC BY 4.0), in app/data; scripts/build_cities.py made the
file. Nothing here asks the network.
"""

import csv
import gzip
import random
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import iso3166
import numpy as np

_GEOHASH_LENGTH = 10
_BASE_32 = "0123456789bcdefghjkmnpqrstuvwxyz"
_EARTH_RADIUS_KM = 6371.0
_FARTHEST_CITY_KM = 100.0
_BLUR_DEGREES = 0.001  # what the platform whose wire this is uses: 111 m from north to south
_DECIMALS = 5  # about a metre

_random = random.SystemRandom()


class Place(NamedTuple):
    """Degrees north and east (WGS 84)."""

    latitude: float
    longitude: float


class Box(NamedTuple):
    """Degrees; one whose west is greater than its east crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, latitude: float | None, longitude: float | None) -> bool:
        """Whether a place is known and lies in it."""
        if latitude is None or longitude is None or not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east


class Cities(NamedTuple):
    """The table of cities, by column."""

    names: list[str]
    countries: list[str]
    vectors: np.ndarray[Any, np.dtype[np.float64]]  # from the Earth's centre, of length 1
    populations: np.ndarray[Any, np.dtype[np.float64]]
    other_names: list[str]  # plain words, several by `|`; of large cities only


def rounded(place: Place) -> Place:
    return Place(round(place.latitude, _DECIMALS), round(place.longitude, _DECIMALS))


def blurred(place: Place) -> Place:
    """Return a random place near this one: each axis is moved by at most 0.001 degree, either way."""
    latitude = place.latitude + _random.uniform(-_BLUR_DEGREES, _BLUR_DEGREES)
    longitude = place.longitude + _random.uniform(-_BLUR_DEGREES, _BLUR_DEGREES)
    return rounded(Place(min(max(latitude, -90.0), 90.0), (longitude + 180.0) % 360.0 - 180.0))


def geohash(latitude: float, longitude: float) -> str:
    """Return the geohash of 10 characters: longitude and latitude are halved in turn, five bits a character."""
    bits = _GEOHASH_LENGTH * 5
    east = min(int((longitude + 180.0) / 360.0 * (1 << bits // 2)), (1 << bits // 2) - 1)
    north = min(int((latitude + 90.0) / 180.0 * (1 << bits // 2)), (1 << bits // 2) - 1)
    code = 0
    for position in reversed(range(bits // 2)):
        code = code << 2 | (east >> position & 1) << 1 | north >> position & 1
    return "".join(_BASE_32[code >> shift & 31] for shift in range(bits - 5, -1, -5))


def city_of(place: Place) -> tuple[str | None, str | None]:
    """Return the name and the ISO 3166 code of the country of the city that a place belongs to, or None twice.

    That is the one that draws most, its people divided by the squared distance: a quarter of Barcelona belongs to
    Barcelona, though the quarter's own centre is nearer. Beyond 100 km from any city there is none.
    """
    table = cities()
    chord = np.linalg.norm(table.vectors - _vectors(np.array([place])), axis=1)
    distance_km = 2 * _EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1))
    if distance_km.min() > _FARTHEST_CITY_KM:
        return None, None
    pull = np.where(distance_km > _FARTHEST_CITY_KM, 0, (table.populations + 1) / (distance_km + 1) ** 2)
    found = int(pull.argmax())
    return table.names[found], table.countries[found]


def place_of_city(number: int) -> Place:
    """Return where a city of the table is."""
    x, y, z = cities().vectors[number]
    return Place(round(float(np.degrees(np.arcsin(z))), 4), round(float(np.degrees(np.arctan2(y, x))), 4))


def country_name(code: str | None) -> str | None:
    """Return a country's name as ISO 3166 has it."""
    country = iso3166.countries_by_alpha2.get(code.upper()) if code else None
    return country.name if country else None


@lru_cache(maxsize=1)
def cities() -> Cities:
    """Read the table, once a process."""
    with (files("app") / "data" / "cities.tsv.gz").open("rb") as file, gzip.open(file, "rt", encoding="utf-8") as text:
        rows = list(csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE))
    places = np.array([(float(row[2]), float(row[3])) for row in rows])
    return Cities(
        [row[0] for row in rows],
        [row[1] for row in rows],
        _vectors(places),
        np.array([float(row[4]) for row in rows]),
        [row[5] for row in rows],
    )


def _vectors(places: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    latitude, longitude = np.radians(places).T
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
