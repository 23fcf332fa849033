"""The units that a sensor may have: as clients show them, with their code in UCUM, the unified code for units.

A list of our own and no library: a library takes every unit that can be composed, and a catalogue where each quantity
has one unit must not. What stands in braces has no unit in UCUM: a note, of dimension 1.
"""

UNITS = {
    "# networks": "{networks}",
    "#/0.1l": "{particles}/dL",
    "%": "%",
    "1": "1",
    "A": "A",
    "Bq/m3": "Bq/m3",
    "CPM": "{counts}/min",
    "Deg": "deg",
    "Hz": "Hz",
    "J": "J",
    "K": "K",
    "L": "L",
    "L/min": "L/min",
    "MOhm": "MOhm",
    "N": "N",
    "NTU": "{NTU}",
    "Ohm": "Ohm",
    "PSU(ppt)": "{PSU}",
    "Pa": "Pa",
    "Present": "{present}",
    "SG": "{SG}",
    "V": "V",
    "VA": "V.A",
    "W": "W",
    "W/m2": "W/m2",
    "Wh": "W.h",
    "cars / min": "{cars}/min",
    "cm": "cm",
    "dB": "dB",
    "dBA": "dB[SPL]{A}",
    "dBC": "dB[SPL]{C}",
    "dBZ": "dB[SPL]{Z}",
    "dBm": "dB{mW}",
    "days": "d",
    "g": "g",
    "g/l": "g/L",
    "g/m3": "g/m3",
    "h": "h",
    "hPa": "hPa",
    "index": "{index}",
    "kHz": "kHz",
    "kOhm": "kOhm",
    "kPa": "kPa",
    "kW": "kW",
    "kWh": "kW.h",
    "kg": "kg",
    "km": "km",
    "km/h": "km/h",
    "lux": "lx",
    "m": "m",
    "m/s": "m/s",
    "m/s2": "m/s2",
    "m3": "m3",
    "m3/h": "m3/h",
    "m3/m3": "m3/m3",
    "mA": "mA",
    "mS/cm": "mS/cm",
    "mV": "mV",
    "mW": "mW",
    "mbar": "mbar",
    "mg/L": "mg/L",
    "mg/m3": "mg/m3",
    "minutes": "min",
    "mm": "mm",
    "mm/h": "mm/h",
    "ms": "ms",
    "nm": "nm",
    "pH": "[pH]",
    "ppb": "[ppb]",
    "ppm": "[ppm]",
    "pt/m3": "{particles}/m3",
    "rpm": "{revolutions}/min",
    "s": "s",
    "uA": "uA",
    "uSv/h": "uSv/h",
    "uV": "uV",
    "uW/cm2": "uW/cm2",
    "ug/m3": "ug/m3",
    "um": "um",
    "umol/m2/s": "umol/(m2.s)",
    "uT": "uT",
    "µS/cm": "uS/cm",
    "º": "deg",
    "ºC": "Cel",
    "ºF": "[degF]",
}

_UNIT_OF_CODE = {code: unit for unit, code in reversed(UNITS.items())}


def find_unit(text: str) -> str:
    """Return the unit that a text means: a unit of the list, or its UCUM code. Raises ValueError with a sentence."""
    if text in UNITS:
        return text
    if text in _UNIT_OF_CODE:
        return _UNIT_OF_CODE[text]
    similar = [unit for unit in UNITS if unit.casefold().strip("º ") == text.casefold().strip("°º ")]
    hint = f"; did you mean {' or '.join(similar)}?" if similar else ""
    raise ValueError(f"{text[:40]!r} is none of the units that GET /v0/units lists{hint}")
