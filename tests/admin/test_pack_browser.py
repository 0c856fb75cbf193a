"""Packs come and go in a real browser: installed, previewed, rolled back, uninstalled, found in the catalogue."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading

import pytest
from playwright.sync_api import expect

from apps.packs import services
from apps.packs.models import Installation, Pack, PackIndex, PackVersion
from apps.packs.registry.building import as_bytes, build_index
from apps.packs.services import load_pack
from apps.rules.services import create_rule
from tests.conftest import write_pack

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db(transaction=True)]

HI = {"ref": "greeter.hi", "description": "Says hi", "runner_type": "shell", "entry_point": "hi.sh"}
BYE = HI | {"ref": "greeter.bye", "description": "Says good-bye", "entry_point": "bye.sh"}


@pytest.fixture(autouse=True)
def own_versions(settings, tmp_path):
    settings.ATTUNE_VERSIONS_DIR = tmp_path / "versions"


@pytest.fixture
def greeter(tmp_path):
    """The folder of a pack: version 1.0.0 with `hi`, or a later one with `bye` and another parameter."""

    def write(version="1.0.0", **manifest):
        needed = {"name": {"type": "string", "required": True}} if version != "1.0.0" else {"who": {"type": "string"}}
        files = {"actions/hi.yaml": HI | {"parameters": needed}, "actions/hi.sh": "echo hi"}
        if version != "1.0.0":
            files |= {"actions/bye.yaml": BYE, "actions/bye.sh": "echo bye"}
        folder = tmp_path / f"greeter-{version}"
        return write_pack(folder, "greeter", files, version=version, label="Greeter", **manifest)

    return write


@contextlib.contextmanager
def serving(folder):
    """A file server, which is all that a registry takes; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def ask(page, source, button="Install"):
    """Fill in where the pack is to come from, and go on to the installation's page."""
    page.goto("/admin/packs/installation/add/")
    page.fill("#id_source", str(source))
    page.click(f".at-form-foot button:has-text('{button}')")
    page.wait_for_url("**/packs/installation/*/change/")


def ended(page, word):
    """Wait until the page says, by itself, how it ended."""
    expect(page.locator("#status")).to_have_text(word)
    expect(page.locator("[data-tail]")).to_have_count(0)


def test_a_pack_is_installed_from_a_folder_and_its_page_is_live(page, workers, greeter, tmp_path):
    go = tmp_path / "go"
    script = f'echo "waiting for <b>you</b>"; until [ -e {go} ]; do sleep 0.05; done; echo "on it goes"\n'
    testing = {"enabled": True, "runners": {"quick": {"type": "script", "entry_point": "check.sh"}}}
    folder = greeter(testing=testing)
    (folder / "check.sh").write_text(script)
    page.goto("/admin/packs/pack/")
    page.click("text=Install a pack")
    page.fill("#id_source", str(folder))
    page.click(".at-form-foot button:has-text('Install')")
    page.evaluate("window.stayed = true")
    expect(page.locator("#install-title")).to_have_text("Installing greeter 1.0.0")
    expect(page.locator(".at-way [aria-current=step]")).to_contain_text("test")
    expect(page.locator("pre[data-stream=log]")).to_contain_text("waiting for <b>you</b>")
    go.touch()
    expect(page.locator("#install-title")).to_have_text("greeter 1.0.0 is installed")
    ended(page, "completed")
    expect(page.locator(".at-way-done")).to_have_count(8)
    expect(page.locator("pre[data-stream=log]")).to_contain_text("on it goes")
    expect(page.locator("#plan")).to_contain_text("greeter.hi")
    expect(page.locator("#tests")).to_contain_text("1 of 1 passed")
    assert page.evaluate("window.stayed"), "the page was loaded anew"
    page.click("text=The pack")
    expect(page.locator(".at-head")).to_contain_text("Greeter")
    assert Pack.objects.get(ref="greeter").version == "1.0.0"


def test_an_upgrade_is_looked_at_first_and_then_installed_and_rolled_back(page, workers, greeter):
    ask(page, greeter())
    ended(page, "completed")
    action = Pack.objects.get(ref="greeter").actions.get()
    home = services.save_adhoc_pack(ref="home", label="Home", actor="test")
    create_rule(
        ref="home.welcome",
        pack=home,
        trigger_ref="core.alert",
        action_ref=action.ref,
        action_params={"who": "Ada"},
        actor="test",
    )

    ask(page, greeter("1.1.0"), "Preview")
    ended(page, "completed")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("1.0.0 → 1.1.0")
    expect(plan.locator("tr:has-text('Actions')")).to_contain_text("greeter.bye")
    expect(plan).to_contain_text("must be given now name")
    expect(plan).to_contain_text("gone who")
    expect(plan.locator("a:has-text('home.welcome')")).to_be_visible()
    assert Pack.objects.get(ref="greeter").version == "1.0.0"

    page.click("text=Install this")
    expect(page.locator("[role=alert]")).to_contain_text("home.welcome")
    page.click("text=Do it all the same")
    page.click("dialog button:has-text('Do it all the same')")
    expect(page.locator("#install-title")).to_have_text("greeter 1.1.0 is installed")
    ended(page, "completed")
    assert Pack.objects.get(ref="greeter").version == "1.1.0"

    page.goto("/admin/packs/pack/greeter/change/#versions")
    expect(page.locator("#versions tr:has-text('1.1.0')")).to_contain_text("in use")
    page.click("#versions >> text=Roll back to this")
    page.click("dialog button:has-text('No, go back')")
    assert Installation.objects.filter(kind="rollback").count() == 0
    page.click("#versions >> text=Roll back to this")
    page.click("dialog button:has-text('Roll back to 1.0.0')")
    expect(page.locator("#install-title")).to_have_text("greeter 1.0.0 is in use again")
    ended(page, "completed")
    assert Pack.objects.get(ref="greeter").version == "1.0.0"
    assert PackVersion.objects.get(left_at=None).version == "1.0.0"


def test_a_pack_with_faults_is_refused_with_file_and_line_and_tried_again_once_it_is_mended(page, workers, greeter):
    folder = greeter()
    (folder / "actions" / "hi.yaml").write_text("ref: greeter.hi\nrunner_type: cobol\nentry_point: hi.sh\n")
    ask(page, folder)
    fault = page.locator("[role=alert] .at-faults tbody tr")
    expect(fault).to_have_count(1)
    expect(fault.locator("td").nth(0)).to_have_text("actions/hi.yaml")
    expect(fault.locator("td").nth(1)).to_have_text("2")
    expect(fault).to_contain_text("cobol")
    expect(page.locator(".at-way-bad")).to_contain_text("analyse")
    assert not Pack.objects.filter(ref="greeter").exists()
    page.goto("/admin/")
    expect(page.locator("#needs-you")).to_contain_text("was not installed")

    greeter()
    page.click("#needs-you a:has-text('was not installed')")
    page.click("text=Try again")
    expect(page.locator("#install-title")).to_have_text("greeter 1.0.0 is installed")
    page.goto("/admin/")
    expect(page.locator("#needs-you")).not_to_contain_text("was not installed")


def test_an_archive_from_ones_own_computer_is_installed(page, workers, greeter, tmp_path):
    out = tmp_path / "out"
    build_index(greeter().parent, name="ours", archives_to=out)
    page.goto("/admin/packs/installation/add/")
    page.set_input_files("#id_archive", out / "greeter-1.0.0.tar.gz")
    page.click(".at-form-foot button:has-text('Install')")
    expect(page.locator("#install-title")).to_have_text("greeter 1.0.0 is installed")
    ended(page, "completed")
    expect(page.locator(".at-kv").first).to_contain_text("greeter-1.0.0.tar.gz")


def test_a_pack_is_uninstalled_but_not_while_another_needs_it(page, workers, greeter, tmp_path):
    ask(page, greeter())
    ended(page, "completed")
    load_pack(write_pack(tmp_path / "needy", "needy", {}, dependencies=["greeter@>=1.0.0"]))
    page.goto("/admin/packs/pack/greeter/change/")
    page.click(".at-head >> text=Uninstall")
    page.click("dialog button:has-text('Uninstall')")
    expect(page.locator("#in-use a")).to_have_text("needy")
    assert Pack.objects.filter(ref="greeter").exists()
    services.remove_pack(Pack.objects.get(ref="needy"), actor="test")
    page.click(".at-head >> text=Uninstall")
    page.click("dialog button:has-text('Uninstall')")
    page.wait_for_selector("text=Pack greeter is uninstalled.")
    assert not Pack.objects.filter(ref="greeter").exists()


def test_the_catalogue_is_searched_and_a_pack_of_it_installed_and_updated(page, workers, greeter, tmp_path):
    packs, www = tmp_path / "packs", tmp_path / "www"
    packs.mkdir()
    www.mkdir()
    greeter().rename(packs / "greeter")
    write_pack(packs / "other", "other", {}, label="Quite another")
    with serving(www) as address:

        def publish():
            index = build_index(packs, name="Ours", base_url=address, archives_to=www)
            (www / "index.json").write_bytes(as_bytes(index))

        publish()
        page.goto("/admin/packs/packindex/catalogue/")
        page.click("text=Add an index")
        page.fill("#id_url", f"{address}/index.json")
        page.fill("#id_name", "Our packs")
        page.click("text=Add it")
        page.wait_for_selector("text=Our packs has 2 packs.")

        page.goto("/admin/packs/packindex/catalogue/")
        expect(page.locator(".at-pack")).to_have_count(2)
        page.fill("input[name=q]", "good says")
        page.press("input[name=q]", "Enter")
        expect(page.locator(".at-page")).to_contain_text("No pack has all of these words")
        page.fill("input[name=q]", "greet")
        page.press("input[name=q]", "Enter")
        expect(page.locator(".at-pack")).to_have_count(1)
        page.click(".at-pack")
        expect(page.locator(".at-page")).to_contain_text("Says hi")
        expect(page.locator(".at-page")).to_contain_text("sha256:")
        assert not Installation.objects.exists()
        page.click(".at-head button:has-text('Install')")
        expect(page.locator("#install-title")).to_have_text("greeter 1.0.0 is installed")
        ended(page, "completed")
        expect(page.locator(".at-page")).to_contain_text("✓ verified")

        greeter("1.1.0").rename(packs / "greeter-new")
        (packs / "greeter").rename(tmp_path / "old")
        publish()
        page.goto(f"/admin/packs/packindex/{PackIndex.objects.get().pk}/change/")
        page.click("text=Read it now")
        page.goto("/admin/")
        page.click("#needs-you a:has-text('1 pack has an update')")
        expect(page.locator(".at-pack:has-text('greeter')")).to_contain_text("update for 1.0.0")
        page.goto("/admin/packs/pack/greeter/change/")
        page.click("text=Preview the update")
        expect(page.locator("#plan")).to_contain_text("1.0.0 → 1.1.0")
        page.click("text=Install this")
        expect(page.locator("#install-title")).to_have_text("greeter 1.1.0 is installed")
        ended(page, "completed")


def test_the_order_of_indices_is_changed_in_the_list(page, tmp_path):
    first = PackIndex.objects.create(name="First", url=str(tmp_path / "a.json"), position=0)
    PackIndex.objects.create(name="Second", url=str(tmp_path / "b.json"), position=7)
    page.goto("/admin/packs/packindex/")
    page.click("[aria-label='Ask Second earlier']")
    page.wait_for_selector("text=Second is asked before First.")
    expect(page.locator("#result_list tbody tr").first).to_contain_text("Second")
    first.refresh_from_db()
    assert first.position == 1


def test_what_is_wanted_of_an_environment_is_saved_from_the_packs_page(page, make_pack):
    make_pack("needy", {"requirements.txt": "six==1.16.0\n"})
    page.goto("/admin/packs/pack/needy/change/#environment")
    page.fill("#id_packages", "-r elsewhere.txt")
    page.click("#environment button:has-text('Save') >> nth=-1")
    expect(page.locator("[role=alert]")).to_contain_text("option of pip")
    page.fill("#id_packages", "idna\n")
    page.fill("#id_constraints", "idna<4")
    page.click(".at-form-foot button:has-text('Save')")
    page.wait_for_selector("text=they hold from the next build on")
    wishes = Pack.objects.get(ref="needy").environment
    assert (wishes["packages"], wishes["constraints"]) == (["idna"], ["idna<4"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_small_screen_in_both_colours(page, scheme, make_pack, tmp_path):
    make_pack("needy", {"requirements.txt": "six==1.16.0\n"})
    long = "https://packs.example.org/" + "a-very-long-name/" * 12
    row = Installation.objects.create(source=long, status="failed", error=long, pack_ref="needy", log=long * 3)
    index = PackIndex.objects.create(url=str(tmp_path / ("x" * 150)), problem=long, enabled=False)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 420, "height": 800})
    pages = [f"installation/{row.pk}/change/", "installation/", "installation/add/", f"packindex/{index.pk}/change/"]
    pages += ["packindex/", "packindex/catalogue/", "pack/needy/change/", "pack/needy/change/#environment"]
    for address in pages:
        page.goto(f"/admin/packs/{address}")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 1, f"{address} is {overflow} px too wide"
