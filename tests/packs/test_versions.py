"""Versions and constraints, in PEP 440's and npm's notation."""

from __future__ import annotations

import pytest

from apps.packs.versions import is_constraint, meets

pytestmark = pytest.mark.embedded_only


@pytest.mark.parametrize(
    ("version", "constraint", "wanted"),
    [
        ("3.11.7", ">=3.10", True),
        ("3.9.1", ">=3.10", False),
        ("v20.20.2", ">=18", True),
        ("5.2.15(1)-release", ">=4", True),
        ("1.5.0", ">=1.0,<2.0", True),
        ("2.0.0", ">=1.0 <2.0", False),
        ("1.9.0", "^1.2", True),
        ("2.0.0", "^1.2", False),
        ("0.2.9", "^0.2.3", True),
        ("0.3.0", "^0.2.3", False),
        ("1.2.9", "~1.2", True),
        ("1.3.0", "~1.2", False),
        ("1.2.9", "~1.2.3", True),
        ("18.4.0", "18.x", True),
        ("18.4.0", "18", True),
        ("19.0.0", "18", False),
        ("1.0.0", "=1.0.0", True),
        ("1.0.1", "1.0.0", False),
        ("20.1.0", "^18 || >=20", True),
        ("19.1.0", "^18 || ^20", False),
        ("1.4.5", "~=1.4.2", True),
        ("0.1.0", "", True),
        ("0.1.0", "*", True),
        ("1.0.0-beta.1", ">=0.9", True),
    ],
)
def test_a_version_meets_a_constraint(version: str, constraint: str, wanted: bool) -> None:
    assert meets(version, constraint) is wanted


@pytest.mark.parametrize("text", ["newest", ">=", "1.2.three!", "@1.0", ">=1 and <2", "><1"])
def test_what_is_no_constraint(text: str) -> None:
    assert not is_constraint(text)
    with pytest.raises(ValueError, match="constraint"):
        meets("1.0", text)


def test_what_is_no_version() -> None:
    with pytest.raises(ValueError, match="not a version"):
        meets("unknown", ">=1")
