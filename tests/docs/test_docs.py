"""The documents stay true: what they name is there, and what is there they name."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.urls import Resolver404, resolve

from apps.packs import manifests
from apps.packs.components import kinds
from apps.packs.documents import Document, Findings
from apps.rules import rendering
from apps.rules.matching import check
from apps.rules.matching.operators import NAMES, worded
from apps.rules.matching.regexes import compiled
from apps.sensors.signatures import SCHEMES
from attune.lib.yamlfiles import parse

pytestmark = pytest.mark.embedded_only

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS = (ROOT / "attune" / "settings.py").read_text()
_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# Variables that scripts and examples use, and that are no settings of the server.
NO_SETTINGS = re.compile(
    r"ATTUNE_(SENSOR|ACTION|EXEC|RULE|TRIGGER|PACK_REF|PARAM|ARTIFACTS|TRACE|API_TOKEN|IDEMPOTENCY|CONFIG|COMPLETE)"
    r"\w*\Z"
)

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for language, body in _BLOCK.findall(page.read_text()) if language in languages]


def section(name: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    return re.split(r"^## ", text_of(name).split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a page's tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = [at for at, (_, below) in enumerate(pairwise(found)) if set("".join(below)) <= set("-")]
    return [row for at, row in enumerate(found) if at not in heads and set("".join(row)) - set("-")]


def named_in_first_column(text: str) -> set[str]:
    return {name for row in rows(text) for name in _CODE.findall(row[0])}


# Every page ----------------------------------------------------------------------------------------------------------
@by_page
def test_no_line_is_longer_than_120_characters(page):
    assert [line for line in page.read_text().splitlines() if len(line) > 120] == []


@by_page
def test_every_link_and_image_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        aim = (page.parent / name) if name else page
        assert aim.exists(), f"{page.name} links to {target}"
        if anchor:
            anchors = {
                re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
                for heading in re.findall(r"^#+ (.+)$", aim.read_text(), re.MULTILINE)
            }
            assert anchor in anchors, f"{page.name} links to {target}, and {aim.name} has no such heading"


@by_page
def test_every_block_of_json_and_yaml_can_be_read(page):
    for block in blocks(page, "json"):
        json.loads(block)
    for block in blocks(page, "yaml"):
        assert yaml.safe_load(block) == parse(block).data


@by_page
def test_every_make_target_is_there(page):
    targets = set(re.findall(r"^([a-z][\w-]*):", text_of("Makefile"), re.MULTILINE))
    assert (
        set(re.findall(r"\bmake ([a-z][\w-]*)", "\n".join([*blocks(page, "bash"), *_CODE.findall(page.read_text())])))
        <= targets
    )


@by_page
def test_every_command_of_manage_py_is_there(page):
    assert set(re.findall(r"manage\.py ([a-z]\w*)", page.read_text())) <= set(get_commands())


def addresses(text: str) -> set[str]:
    """The API's addresses in a page: those that curl calls, and those that are written as `GET,POST /rules/{ref}`."""
    called = re.findall(r"\$ATTUNE(/[\w/.$-]+)", text)
    written = re.findall(r"\b(?:GET|POST|PUT|DELETE)(?:,(?:GET|POST|PUT|DELETE))* (/[\w/{}.-]+)", text)
    plain = re.findall(r"`(/[a-z][\w/{}.-]*)`", text)
    return {*called, *written, *plain} - {"/api/v1"}


@by_page
def test_every_address_of_the_api_is_there(page):
    for address in addresses(page.read_text()):
        path = re.sub(r"\{(id|pk)\}|\$(ID|EVENT)\b", "7", address)
        path = re.sub(r"\{stream\}", "stdout", path)
        path = re.sub(r"\{\w+\}|\$\w+", "core.echo", path)
        known = path.startswith(("/api", "/auth", "/health", "/metrics", "/docs", "/admin"))
        try:
            resolve(path if known else f"/api/v1{path}")
        except Resolver404:
            pytest.fail(f"{page.name} names {address}, which no view answers")


@by_page
def test_every_file_it_names_is_there(page):
    named = re.findall(r"`((?:attune|apps|tests|packs|benchmarks)/[\w./-]+)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_test_that_the_guarantees_name_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text_of("docs/guarantees.md"))
    assert len(named) >= 16
    assert [f"{file}::{test}" for file, test in named if f"def {test}(" not in text_of(file)] == []


# Settings ------------------------------------------------------------------------------------------------------------
def read_settings() -> set[str]:
    """Every name that settings.py reads from the environment."""
    return set(re.findall(r"""(?:env\.\w+|_path|_secret)\(\s*"([A-Z][A-Z_]+)\"""", SETTINGS))


def test_every_setting_that_is_read_is_documented():
    documented = named_in_first_column(section("docs/operations.md", "Settings"))
    documented |= named_in_first_column(text_of("docs/sign-on.md"))
    assert read_settings() == documented


def test_the_readme_names_no_setting_that_is_not_read():
    assert named_in_first_column(section("README.md", "Settings")) <= read_settings()


@by_page
def test_every_variable_of_ours_that_a_page_names_is_read_or_handed_out(page):
    named = set(re.findall(r"\bATTUNE_[A-Z_]+\b", page.read_text()))
    assert {name for name in named if not NO_SETTINGS.match(name)} <= read_settings()


# Packs ---------------------------------------------------------------------------------------------------------------
FILES = {"pack.yaml": "", "actions/*.yaml": "actions", "triggers/*.yaml": "triggers"}
FILES |= {"sensors/*.yaml": "sensors", "rules/*.yaml": "rules"}


def document(findings: Findings) -> Document:
    return Document("demo.yaml", parse("ref: demo.thing"), findings)


@pytest.mark.parametrize("heading", FILES)
def test_the_keys_of_a_file_are_those_that_the_loader_reads(heading):
    known = document(findings := Findings())
    readers: dict[str, Any] = {kind.folder: kind.read for kind in kinds()}
    if FILES[heading]:
        readers[FILES[heading]](known, "demo")
    else:
        manifests.read(known)
    read = set(known._known)
    first = re.split(r"^###? ", section("docs/packs.md", heading), maxsplit=1, flags=re.MULTILINE)[0]
    tables = first.split("\nA sensor runs while")[0]
    assert named_in_first_column(tables) - {"custom"} == read - {"pack_ref"} | (
        {"pack_ref"} if heading.startswith("rules") else set()
    ), findings


def test_every_example_of_a_pack_is_named_as_it_is():
    assert {path.name for path in (ROOT / "packs/examples").iterdir() if path.is_dir()} == {
        "hello_shell",
        "hello_python",
        "hello_node",
    }


# Rules and webhooks --------------------------------------------------------------------------------------------------
def test_the_examples_of_criteria_are_without_fault():
    examples = [json.loads(block) for block in blocks(ROOT / "docs/rules.md", "json")]
    assert len(examples) >= 5
    for example in examples:
        assert check(example) == []


def test_the_operators_are_those_that_there_are():
    text = section("docs/rules.md", "Criteria")
    first, stackstorm = text.split("### Operators of notations 1 and 3")[1].split("### Operators of notation 4")
    for row in rows(first):
        for name in _CODE.findall(row[0]) + [name for name in _CODE.findall(row[1]) if name.isidentifier()]:
            assert name == "search" or worded(name)[0], f"{name} is no operator"
    named = set(_CODE.findall(stackstorm.split("A null pattern")[0]))
    assert named == set(NAMES)


def test_what_the_page_says_of_the_boundaries_of_words_is_so():
    said = text_of("docs/rules.md").split("Regular expressions are Python's", 1)[1].split("###", 1)[0]
    [in_vain, instead] = [found for found in _CODE.findall(said) if "Ärger" in found]
    assert not compiled(in_vain).search("viel Ärger!")
    for text in ("Ärger", "viel Ärger!", "Ärger, viel"):
        assert compiled(instead).search(text)
    assert not compiled(instead).search("Ärgernis")


def test_the_filters_of_templates_are_those_that_there_are():
    text = section("docs/rules.md", "Parameters and templates")
    listed = re.search(r"\*\*Filters\*\*: `([^`]+)`", text)
    assert listed and sorted(listed[1].split()) == sorted(rendering.FILTERS)


def test_the_schemes_of_signatures_are_those_that_there_are():
    [row] = [row for row in rows(section("docs/webhooks.md", "Options")) if row[0] == "`scheme`"]
    assert set(_CODE.findall(row[2])) == set(SCHEMES)


# Dependencies --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt", "requirements-ldap.txt"])
def test_every_dependency_has_its_reason(file):
    pinned = set(re.findall(r"^([A-Za-z][\w.-]*)(?:\[\w+\])?==", text_of(file), re.MULTILINE))
    listed = {row[0] for row in rows(section("CONTRIBUTING.md", "Dependencies"))}
    assert pinned and pinned <= listed
