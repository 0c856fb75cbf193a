"""What packs need comes in the right order; what cannot be had, or not together, is named with those who want it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.packs.models import Pack
from apps.packs.registry import dependencies
from apps.packs.registry.dependencies import Candidate, Dependent, Need, Plan, resolve, wanted_of
from apps.packs.registry.precedence import Precedence, allows

pure = pytest.mark.embedded_only
World = dict[str, dict[str, list[str]]]


def needs(*texts: str) -> tuple[Need, ...]:
    return tuple(wanted_of(list(texts)))


def shop(world: World) -> dependencies.Available:
    """What `{"a": {"1.0.0": ["b@^1"]}}` has to offer."""

    def newest(ref: str, constraint: str) -> Candidate | None:
        listed = sorted(world.get(ref, {}), key=Precedence, reverse=True)
        return next((Candidate(ref, v, needs(*world[ref][v])) for v in listed if allows(constraint, v)), None)

    return newest


def plan_for(root: str, world: World, *, here: World | None = None) -> Plan:
    """The plan for a name that is asked for, where the packs of `here` are installed."""
    (asked,) = needs(root)
    present = here or {}
    installed = {ref: version for ref, versions in present.items() for version in versions}
    held = [
        need for ref, versions in present.items() for texts in versions.values() for need in wanted_of(texts, by=ref)
    ]
    return resolve(asked, installed=installed, available=shop(world), held=held)


def order(plan: Plan) -> list[str]:
    return [f"{one.ref}@{one.version}" for one in plan.install]


@pure
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, []),
        ([], []),
        ({"packs": None}, []),
        ({"packs": ["core", "slack@^1.2", "jira>=2"], "python_version": ">=3.10"}, ["core ", "slack ^1.2", "jira >=2"]),
        (["core@>=1.0.0"], ["core >=1.0.0"]),
        ({"packs": [7, "no pack!", "core@>>1"]}, []),
    ],
)
def test_the_needs_of_a_manifest_in_both_forms(given: Any, wanted: list[str]) -> None:
    assert [f"{need.ref} {need.constraint}" for need in wanted_of(given)] == wanted


@pure
def test_dependencies_come_first_and_each_once() -> None:
    world: World = {
        "a": {"1.0.0": ["b", "c@^1"]},
        "b": {"1.0.0": ["d"]},
        "c": {"1.0.0": ["d@>=1.1"], "2.0.0": []},
        "d": {"1.0.0": [], "1.2.0": [], "1.3.0-rc.1": []},
    }
    plan = plan_for("a", world)
    assert plan.ok
    assert order(plan) == ["d@1.2.0", "b@1.0.0", "c@1.0.0", "a@1.0.0"]


@pure
def test_what_is_installed_and_will_do_is_left_alone() -> None:
    plan = plan_for("a", {"a": {"1.0.0": ["b@^1"]}, "b": {"1.9.0": []}}, here={"b": {"1.0.0": ["gone"]}})
    assert plan.ok and order(plan) == ["a@1.0.0"]
    assert plan.satisfied == [Need("b", "^1", "a")]
    assert order(plan_for("b", {}, here={"b": {"1.0.0": []}})) == []


@pure
def test_what_is_installed_and_will_not_do_is_upgraded_as_far_as_those_who_use_it_allow() -> None:
    world: World = {"a": {"1.0.0": ["b@>=1.5"]}, "b": {"1.6.0": [], "2.0.0": []}}
    plan = plan_for("a", world, here={"b": {"1.0.0": []}, "third": {"1.0.0": ["b@<2"]}})
    assert plan.ok and order(plan) == ["b@1.6.0", "a@1.0.0"]


@pure
def test_an_upgrade_that_would_break_a_third_pack_is_a_conflict_with_both_sides() -> None:
    world: World = {"a": {"1.0.0": ["b@>=2"]}, "b": {"2.0.0": []}}
    plan = plan_for("a", world, here={"b": {"1.0.0": []}, "third": {"1.0.0": ["b@<2"]}})
    (conflict,) = plan.conflicts
    assert conflict.sides == (Need("b", ">=2", "a"), Need("b", "<2", "third"))
    assert str(conflict) == "a needs b >=2, but third needs b <2; b 2.0.0 would take the place of 1.0.0"


@pure
def test_a_third_pack_that_is_upgraded_along_no_longer_stands_in_the_way() -> None:
    world: World = {
        "a": {"1.0.0": ["third@>=2", "b@>=2"]},
        "b": {"2.0.0": []},
        "third": {"2.0.0": ["b@^2"]},
    }
    plan = plan_for("a", world, here={"b": {"1.0.0": []}, "third": {"1.0.0": ["b@<2"]}})
    assert plan.ok and order(plan) == ["b@2.0.0", "third@2.0.0", "a@1.0.0"]


@pure
def test_files_that_are_here_already_are_checked_against_those_who_use_the_pack() -> None:
    held = [Need("a", "<2", "third")]
    plan = resolve(Candidate("a", "2.0.0"), installed={"a": "1.0.0", "third": "1.0.0"}, available=shop({}), held=held)
    assert [conflict.sides for conflict in plan.conflicts] == [(Need("a", "2.0.0"), Need("a", "<2", "third"))]
    assert resolve(Candidate("a", "1.1.0"), installed={"a": "1.0.0"}, available=shop({}), held=held).ok


@pure
def test_what_is_missing_is_named_with_all_who_need_it() -> None:
    plan = plan_for("a", {"a": {"1.0.0": ["b", "nowhere@^1"]}, "b": {"1.0.0": ["nowhere"]}})
    assert plan.missing == [Need("nowhere", "^1", "a"), Need("nowhere", "", "b")]
    assert plan.problems[0].startswith("a needs nowhere ^1, which no index has")
    assert not plan.ok


@pure
def test_two_needs_that_cannot_be_met_together_are_named_with_both_sides() -> None:
    world: World = {
        "a": {"1.0.0": ["b", "c", "x"]},
        "b": {"1.0.0": ["d@<2"]},
        "c": {"1.0.0": ["d@>=2"]},
        "x": {"1.0.0": ["d"]},
        "d": {"1.0.0": [], "2.0.0": []},
    }
    (conflict,) = plan_for("a", world).conflicts
    assert conflict.sides == (Need("d", "<2", "b"), Need("d", ">=2", "c"))
    assert str(conflict) == "b needs d <2, but c needs d >=2; no version of d suits all of them"


@pure
def test_a_version_that_is_nowhere_is_named_with_what_there_is() -> None:
    (conflict,) = plan_for("a", {"a": {"1.0.0": ["b@>=3"]}, "b": {"2.0.0": []}}).conflicts
    assert str(conflict) == "a needs b >=3; the newest one to be had is 2.0.0"
    (asked,) = plan_for("b@>=3", {"b": {"2.0.0": []}}).conflicts
    assert str(asked) == "b >=3 was asked for; the newest one to be had is 2.0.0"


@pure
@pytest.mark.parametrize(
    ("world", "circles"),
    [
        ({"a": {"1.0.0": ["a"]}}, [("a", "a")]),
        ({"a": {"1.0.0": ["b"]}, "b": {"1.0.0": ["a"]}}, [("a", "b", "a")]),
        (
            {"a": {"1.0.0": ["c"]}, "c": {"1.0.0": ["b"]}, "b": {"1.0.0": ["d", "c"]}, "d": {"1.0.0": []}},
            [("b", "c", "b")],
        ),
    ],
)
def test_a_circle_is_named_as_a_path(world: World, circles: list[tuple[str, ...]]) -> None:
    plan = plan_for("a", world)
    assert plan.circles == circles and not plan.ok
    assert " → ".join(circles[0]) in plan.problems[-1]


@pure
def test_a_later_need_changes_what_was_taken_before_and_what_that_brought_is_forgotten() -> None:
    world: World = {
        "a": {"1.0.0": ["b", "c"]},
        "b": {"1.0.0": [], "2.0.0": ["only_for_b_2@>=2"]},
        "c": {"1.0.0": ["b@<2"]},
        "only_for_b_2": {"2.0.0": []},
    }
    plan = plan_for("a", world, here={"only_for_b_2": {"1.0.0": []}, "third": {"1.0.0": ["only_for_b_2@<2"]}})
    assert plan.ok and order(plan) == ["b@1.0.0", "c@1.0.0", "a@1.0.0"]


@pure
def test_needs_that_chase_one_another_come_to_an_end() -> None:
    world: World = {
        "a": {"1.0.0": ["b", "c"]},
        "b": {"1.0.0": [], "2.0.0": ["c@<2"]},
        "c": {"1.0.0": ["b@<2"], "2.0.0": []},
    }
    plan = plan_for("a", world)
    assert plan.ok or plan.conflicts
    chain: World = {f"p{number}": {"1.0.0": [f"p{number + 1}"]} for number in range(2000)}
    assert not plan_for("p0", chain).ok


@pure
def test_a_pack_with_a_thousand_needs_is_resolved() -> None:
    world: World = {"a": {"1.0.0": [f"p{number}" for number in range(1000)]}}
    world |= {f"p{number}": {"1.0.0": ["core"]} for number in range(1000)}
    plan = plan_for("a", world, here={"core": {"1.0.0": []}})
    assert plan.ok and len(plan.install) == 1001


@pytest.fixture
def make(db: None) -> Callable[..., Pack]:
    def made(ref: str, version: str = "1.0.0", *packs: str) -> Pack:
        given = {"packs": list(packs)} if packs else {}
        return Pack.objects.create(ref=ref, label=ref, version=version, dependencies=given)

    return made


def test_the_installed_packs_say_who_needs_whom(make: Callable[..., Pack]) -> None:
    make("core", "1.5.0")
    make("slack", "1.0.0", "core@>=1.0")
    make("jira", "2.0.0", "core@<2", "slack")
    assert dependencies.dependents_of("core") == [Dependent("jira", "<2"), Dependent("slack", ">=1.0")]
    assert [str(one) for one in dependencies.dependents_of("slack")] == ["jira"]
    assert dependencies.dependents_of("jira") == []
    assert dependencies.installed_versions() == {"core": "1.5.0", "jira": "2.0.0", "slack": "1.0.0"}


def test_a_version_breaks_those_who_were_content_before_and_no_others(make: Callable[..., Pack]) -> None:
    make("core", "1.5.0")
    make("slack", "1.0.0", "core@>=1.0")
    make("jira", "1.0.0", "core@<2")
    make("vault", "1.0.0", "core@>=3")  # was never content
    make("early", "1.0.0", "absent@<2")
    assert dependencies.breaks("core", "2.0.0") == [Dependent("jira", "<2")]
    assert dependencies.breaks("core", "0.9.0") == [Dependent("slack", ">=1.0")]
    assert dependencies.breaks("core", "1.6.0") == []
    assert dependencies.breaks("absent", "5.0.0") == []
