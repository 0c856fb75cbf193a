"""Read a date that a person or a program has written, in whatever common way.

ISO 8601 (`2014-07-01T10:00:00Z`, `20140701T1000`, `2014-W27-2`), RFC 2822 (`Tue, 01 Jul 2014 10:00:00 +0200`), and the
usual looser ways: `Jul 1 2014 10:00`, `1 July 2014`, `7/1/2014 5pm` (month first, unless it cannot be). A date that
names no zone is UTC; a part that is not given is taken from the start of today.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

MAX_TEXT = 100

_LONG_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october"]
_LONG_MONTHS += ["november", "december"]
_MONTHS = {name: number for number, name in enumerate(_LONG_MONTHS, 1)} | {"sept": 9}
_MONTHS |= {name[:3]: number for number, name in enumerate(_LONG_MONTHS, 1)}
_DAYS = {"mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat", "sun"}
_DAYS |= {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
_FILLERS = {"at", "on", "of", "and", "t", "st", "nd", "rd", "th"}
# The zones of RFC 2822, section 4.3, in hours.
_ZONES = {"utc": 0, "gmt": 0, "ut": 0, "z": 0}
_ZONES |= {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}

_CLOCK = re.compile(
    r"(?<![\d.])(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:\s*([ap])\.?m\b\.?)?"
    r"(?:\s*(?:utc|gmt)?\s*([+-])(\d{2}):?(\d{2})?(?!\d))?",
    re.IGNORECASE,
)
_HOUR = re.compile(r"\b(\d{1,2})\s*([ap])\.?m\b\.?", re.IGNORECASE)
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})([-/.])(\d{1,2})(?:\2(\d{1,2}))?(?!\d)")
_NUMBERS = re.compile(r"(?<!\d)(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
_COMPACT = re.compile(r"^\s*(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?\s*$")
_WORD = re.compile(r"([a-z]+)\.?|(\d+)|[\s,./()-]+", re.IGNORECASE)


def instant(text: str, *, now: datetime) -> datetime:
    """The moment that the text names, with its zone.

    Raises ValueError if it names none.
    """
    text = text.strip()
    if not text or len(text) > MAX_TEXT:
        raise ValueError("it is empty or far too long for a date")
    try:
        moment = _iso(text) or _loose(text, now)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"it is not a date ({error}); write it like 2014-07-01T10:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(text: str) -> datetime | None:
    if text.isdigit() and len(text) not in (8, 12, 14):
        raise ValueError("a bare number")
    if compact := _COMPACT.match(text):
        return datetime(*[int(part) for part in compact.groups() if part])  # type: ignore[arg-type]
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _loose(text: str, now: datetime) -> datetime:
    """Take the clock out of the text, then the date in figures, then what is left word by word."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    text, clock, zone = _without_clock(text)
    text, date = _without_figures(text)
    words, zone = _words(text, zone)
    if date is None:
        date = _from_words(words, midnight, clock is not None)
    elif words:
        raise ValueError(f"{words[0]!r} is one number too many")
    moment = datetime(*date) + (clock or timedelta())
    return moment.replace(tzinfo=zone)


def _without_clock(text: str) -> tuple[str, timedelta | None, timezone | None]:
    zone = None
    if match := _CLOCK.search(text):
        hour, minute, second, fraction, half, sign, zone_hours, zone_minutes = match.groups()
        if sign:
            offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes or 0))
            zone = timezone(-offset if sign == "-" else offset)
    elif match := _HOUR.search(text):
        (hour, half), minute, second, fraction = match.groups(), 0, 0, None
    else:
        return text, None, None
    hours = int(hour)
    if int(minute) > 59 or int(second or 0) > 59 or hours > 23 or (half and not 1 <= hours <= 12):
        raise ValueError("no such time of day")
    if half:
        hours = hours % 12 + (12 if half.lower() == "p" else 0)
    clock = timedelta(
        hours=hours,
        minutes=int(minute),
        seconds=int(second or 0),
        microseconds=int((fraction or "0")[:6].ljust(6, "0")),
    )
    return f"{text[: match.start()]} {text[match.end() :]}", clock, zone


def _without_figures(text: str) -> tuple[str, tuple[int, int, int] | None]:
    if match := _YEAR_FIRST.search(text):
        date = int(match[1]), int(match[3]), int(match[4] or 1)
    elif match := _NUMBERS.search(text):
        month, day, year = int(match[1]), int(match[3]), _full_year(match[4])
        date = (year, day, month) if month > 12 else (year, month, day)
    else:
        return text, None
    return f"{text[: match.start()]} {text[match.end() :]}", date


def _words(text: str, zone: timezone | None) -> tuple[list[str], timezone | None]:
    """What is left that means something: numbers and month names; and the zone, if a word names it."""
    kept, position = [], 0
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            raise ValueError(f"{text[position]!r} has no meaning in a date")
        word, number = (match[1] or "").lower(), match[2]
        if number or word in _MONTHS:
            kept.append(number or word)
        elif word in _ZONES:
            zone = zone or timezone(timedelta(hours=_ZONES[word]))
        elif word and word not in _DAYS and word not in _FILLERS:
            raise ValueError(f"{word!r} has no meaning in a date")
        position = match.end()
    return kept, zone


def _from_words(words: list[str], midnight: datetime, has_clock: bool) -> tuple[int, int, int]:
    numbers = [word for word in words if word.isdigit()]
    months = [_MONTHS[word] for word in words if not word.isdigit()]
    if not words and has_clock:
        return midnight.year, midnight.month, midnight.day
    if len(months) != 1 or len(numbers) > 2:
        raise ValueError("no day, month and year in it")
    years = [number for number in numbers if len(number) == 4 or int(number) > 31]
    if len(numbers) == 2 and not years:
        years = numbers[1:]
    days = list(numbers)
    for found in years:
        days.remove(found)
    if len(years) > 1 or len(days) > 1:
        raise ValueError("more than one day or year in it")
    year = _full_year(years[0]) if years else midnight.year
    return year, months[0], int(days[0]) if days else 1


def _full_year(text: str) -> int:
    year = int(text)
    return year if len(text) > 2 else year + (1900 if year > 68 else 2000)
