"""Versions are ordered as semver.org says, and a pre-release is taken only by its name."""

from __future__ import annotations

import itertools

import pytest

from apps.packs import versions
from apps.packs.registry.precedence import Precedence, allows, both

pytestmark = pytest.mark.embedded_only
IN_ORDER = ["0.9.9", "1.0.0-0", "1.0.0-2", "1.0.0-11", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta"]
IN_ORDER += ["1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0"]
IN_ORDER += ["2.0.0-rc", "2.0.0", "10.0.0"]


def test_versions_are_ordered_as_semver_says() -> None:
    assert sorted(sorted(IN_ORDER), key=Precedence) == IN_ORDER
    assert all(Precedence(one) < Precedence(other) for one, other in itertools.combinations(IN_ORDER, 2))
    assert Precedence("1.0.0+build.1") == Precedence("1.0.0+build.2")


@pytest.mark.parametrize(
    ("constraint", "version", "allowed"),
    [
        ("", "1.0.0", True),
        ("", "1.0.0-rc.1", False),
        ("*", "1.0.0-rc.1", False),
        ("1.0.0", "1.0.0", True),
        ("v1.0.0", "1.0.0", True),
        ("1.0.0", "1.0.1", False),
        ("1.0.0", "1.0.0+build", True),
        ("1.0.0-rc.1", "1.0.0-rc.1", True),
        ("1.0.0-rc.1", "1.0.0", False),
        ("1.0.0-anything.goes", "1.0.0-anything.goes", True),
        ("1.0.0-anything.goes", "1.0.0", False),
        (">=1.0.0-rc.1", "1.0.0-rc.2", True),
        (">=1.0.0-rc.1", "1.0.0", True),
        (">=0.9", "1.0.0-rc.1", False),
        ("^1.2", "1.9.0", True),
        ("^1.2", "2.0.0", False),
        ("18.x", "18.3.1", True),
        ("<1 || >=2", "1.5.0", False),
        ("<1 || >=2", "2.5.0", True),
    ],
)
def test_a_constraint_takes_a_pre_release_only_by_its_name(constraint: str, version: str, allowed: bool) -> None:
    assert allows(constraint, version) is allowed


@pytest.mark.parametrize("one", ["", ">=1.0", "^1.2 || ^2", "<3", "1.5.0"])
@pytest.mark.parametrize("other", ["*", "<2", "<1.5 || >=2.1", "!=1.5.0"])
def test_both_asks_for_what_each_asks_for(one: str, other: str) -> None:
    joined = both(one, other)
    assert versions.is_constraint(joined)
    for version in ("0.1.0", "1.2.0", "1.5.0", "1.9.0", "2.0.0", "2.1.0", "3.0.0"):
        assert allows(joined, version) is (allows(one, version) and allows(other, version)), (joined, version)


def test_alternatives_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        both(*[f"<1.{number} || >2.{number} || 3.{number}" for number in range(20)])
