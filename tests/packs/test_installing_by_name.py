"""Packs are installed by name, from an index of one's own, with what they need, and with no bytes but those it says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from apps.packs import services
from apps.packs.models import Action, Installation, Pack, PackIndex
from apps.packs.registry import building, indices
from tests.conftest import ROOT, write_pack
from tests.packs.test_installing import done, greeter

SAMPLES = ROOT / "tests/data/samples/packs"
Status = Installation.Status


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path, db: None) -> Iterator[Callable[..., Path]]:
    """`registry(folder)` makes an index of the packs in it, serves it on the loopback, and lets Attune know of it."""
    shelf = tmp_path / "registry"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(shelf)))
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{building.INDEX}"

    def publish(folder: Path, name: str = "ours") -> Path:
        shelf.mkdir(exist_ok=True)
        made = building.build_index(folder, name=name, url=url, archives_to=shelf)
        (shelf / building.INDEX).write_bytes(building.as_bytes(made))
        known = PackIndex.objects.filter(url=url).first() or indices.create_index(url=url, actor="test")
        indices.refresh(known, force=True)
        return shelf

    yield publish
    server.shutdown()
    server.server_close()


def test_the_packs_of_the_ecosystem_are_installed_by_name(registry, install, tmp_path) -> None:
    registry(SAMPLES)
    for folder in sorted(path for path in SAMPLES.iterdir() if path.is_dir()):
        over = done(install(folder.name, skip_tests=True))
        assert over.result["provenance"]["checksum_verified"] and over.result["provenance"]["registry_url"]
        assert Pack.objects.get(ref=folder.name).actions.exists()


def test_a_range_is_met_by_the_newest_version_and_an_update_takes_the_next(registry, install, tmp_path) -> None:
    packs = tmp_path / "packs"
    greeter(packs / "greeter")
    registry(packs)
    greeter(packs / "greeter", "1.4.0")
    registry(packs)
    greeter(packs / "greeter", "2.0.0")
    registry(packs)
    assert done(install("greeter@^1.0")).pack_version == "1.4.0"
    plan = done(services.wait_for(services.request_update(Pack.objects.get(), actor="test", preview=True))).result[
        "plan"
    ]
    assert (plan["from_version"], plan["version"]) == ("1.4.0", "2.0.0")
    done(services.wait_for(services.request_update(Pack.objects.get(), actor="test")))
    assert Pack.objects.get().version == "2.0.0"
    assert done(install("greeter@1.0.0", force=True)).pack_version == "1.0.0"


def test_what_a_pack_needs_comes_before_it_if_that_is_asked_for(registry, install, tmp_path) -> None:
    packs = tmp_path / "packs"
    greeter(packs / "greeter", "1.2.0")
    write_pack(packs / "middle", "middle", {}, dependencies=["greeter@>=1.0"])
    write_pack(packs / "outer", "outer", {}, dependencies=["middle"])
    registry(packs)
    refused = install("outer")
    assert refused.status == Status.FAILED and "install it first, or ask for dependencies, too" in refused.error
    over = done(install("outer", with_dependencies=True))
    assert over.pack_ref == "outer" and set(Pack.objects.values_list("ref", flat=True)) == {
        "greeter",
        "middle",
        "outer",
    }
    assert [need["to_install"] for need in over.result["plan"]["dependencies"]] == ["1.0.0"]
    assert list(Pack.objects.order_by("loaded_at").values_list("ref", flat=True)) == ["greeter", "middle", "outer"]


def test_packs_that_need_one_another_are_refused_with_the_circle(registry, install, tmp_path) -> None:
    packs = tmp_path / "packs"
    for ref, other in (("a", "b"), ("b", "a")):
        write_pack(packs / ref, ref, {}, dependencies=[other])
    registry(packs)
    over = install("a", with_dependencies=True)
    assert over.status == Status.FAILED and "a → b → a" in over.error and not Pack.objects.exists()


def test_an_archive_that_is_not_the_one_of_the_index_is_refused_and_nothing_else_is_tried(
    registry, install, tmp_path
) -> None:
    packs = tmp_path / "packs"
    marker = tmp_path / "marker"
    greeter(packs / "greeter")
    shelf = registry(packs)
    greeter(tmp_path / "evil/greeter", says=f"x; touch {marker}")
    building.build_index(tmp_path / "evil", name="x", archives_to=tmp_path / "evil-shelf")
    [evil], [good] = (tmp_path / "evil-shelf").glob("*.tar.gz"), shelf.glob("*.tar.gz")
    shutil.copy(evil, good)
    over = install("greeter")
    assert (over.status, over.error_code, over.step) == (Status.FAILED, "checksum_mismatch", "verify")
    assert not Pack.objects.exists() and not marker.exists()


def test_a_name_that_no_index_has_says_which_come_near(registry, install, tmp_path) -> None:
    greeter(tmp_path / "packs/greeter")
    registry(tmp_path / "packs")
    over = install("greetr")
    assert over.status == Status.FAILED and "did you mean greeter?" in over.error


def test_an_index_may_be_a_file_with_its_archives_beside_it(install, tmp_path) -> None:
    greeter(tmp_path / "packs/greeter")
    shelf = tmp_path / "shelf"
    made = building.build_index(tmp_path / "packs", name="ours", archives_to=shelf)
    (shelf / building.INDEX).write_bytes(building.as_bytes(made))
    indices.create_index(url=str(shelf / building.INDEX), actor="test")
    assert done(install("greeter")).result["provenance"]["checksum_verified"]


def test_an_installed_pack_runs(registry, install, run, tmp_path) -> None:
    greeter(tmp_path / "packs/greeter")
    registry(tmp_path / "packs")
    done(install("greeter"))
    assert run(Action.objects.get(ref="greeter.greet")).stdout == "hello\n"
