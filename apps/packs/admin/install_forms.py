"""The forms of what comes and goes: a pack's source, its environment, an index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextareaWidget, UnfoldBooleanWidget

from apps.packs import environments
from apps.packs.admin.forms import text
from apps.packs.models import Pack
from attune.lib.errors import InvalidInput

OPTIONS = ("ref_spec", "subdirectory", "checksum", "with_dependencies", "skip_tests", "force")

# Every form of a source, with an example that can be put into the field.
EXAMPLES = (
    ("slack", "A name in the pack indices; slack@1.2.0 or slack@^1.2 asks for a version"),
    ("/srv/packs/slack", "A folder on the server, or an archive there"),
    ("https://packs.example.org/slack-1.2.0.tar.gz", "The address of an archive: tar.gz, tar or zip"),
    ("git+https://git.example.org/acme/slack.git@v1.2.0", "A git repository, at a branch, tag or commit"),
    ("git+https://git.example.org/acme/packs.git#slack", "A folder within a repository"),
    ("git+ssh://git@git.example.org/acme/slack.git", "A repository that the server's own ssh key opens"),
)


def tick(**more: Any) -> forms.BooleanField:
    return forms.BooleanField(required=False, widget=UnfoldBooleanWidget, **more)


def lines(**more: Any) -> forms.CharField:
    rows, placeholder = more.pop("rows", 3), more.pop("placeholder", "")
    widget = UnfoldAdminTextareaWidget(attrs={"rows": rows, "placeholder": placeholder, "class": "at-code"})
    return forms.CharField(required=False, widget=widget, **more)


class InstallForm(forms.Form):
    """Where a pack is to come from, and how it is installed."""

    source = text(
        required=False,
        max_length=2000,
        label="From where",
        placeholder="A name, a folder, an address …",
    )
    archive = forms.FileField(
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        label="Or send an archive",
        help_text="A tar.gz or zip from your computer, with the pack's files in it.",
    )
    ref_spec = text(
        required=False,
        max_length=200,
        label="Version, branch, tag or commit",
        placeholder="v1.2.0",
        help_text="Of a git repository or of a name in the indices.",
    )
    subdirectory = text(
        required=False, max_length=500, placeholder="packs/slack", help_text="Where the pack lies within what comes."
    )
    checksum = text(
        required=False,
        max_length=80,
        placeholder="sha256:…",
        help_text="What comes must have it, or nothing is installed. Of an archive its own, else that of the files.",
    )
    with_dependencies = tick(label="Install the packs that it needs, too", help_text="From the pack indices.")
    skip_tests = tick(label="Skip its tests")
    force = tick(label="Install in spite of what it breaks", help_text="Also when these very files are in use already.")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("source") and given.get("archive"):
            raise forms.ValidationError("Name a source or send an archive, not both.")
        if not given.get("source") and not given.get("archive") and not self.errors:
            self.add_error("source", "Say where the pack is to come from, or send an archive.")
        return given

    def options(self) -> dict[str, Any]:
        """As `request_installation` takes them: what is empty is left out."""
        return {name: self.cleaned_data[name] for name in OPTIONS if self.cleaned_data.get(name)}

    def advanced(self) -> Iterable[forms.BoundField]:
        return [self[name] for name in OPTIONS]

    def is_advanced(self) -> bool:
        """Whether the options should be in sight, since one of them is set or wrong."""
        return any(self[name].value() or self[name].errors for name in OPTIONS)


class EnvironmentForm(forms.Form):
    """What the operator wants of a pack's environment."""

    constraints = lines(
        placeholder="requests<3",
        help_text="One a line. They narrow what the pack's own requirements allow, and install nothing by themselves.",
    )
    packages = lines(label="More packages", placeholder="certifi==2024.7.4", help_text="One a line.")
    allow_scripts = tick(
        label="Let npm run the scripts of packages", help_text="They may do whatever the server's user may."
    )
    sdk_compatibility = tick(
        label="Let calls of older SDK versions work", help_text="For packs that were written before the present SDK."
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        try:
            return environments.read_environment(given)
        except InvalidInput as error:
            for fault in error.details["faults"]:
                self.add_error(fault["path"].partition(".")[0], fault["message"])
            return given

    @classmethod
    def of(cls, pack: Pack, data: Any = None) -> EnvironmentForm:
        """The form with the present wishes."""
        wishes = {"sdk_compatibility": True} | (pack.environment or {})
        initial = {name: "\n".join(value) if isinstance(value, list) else value for name, value in wishes.items()}
        return cls(data, initial=initial)


class IndexForm(forms.Form):
    """An index of packs, and what to tell its server."""

    url = text(
        max_length=2000,
        label="Where it is",
        placeholder="https://packs.example.org/index.json",
        help_text="An http or https address, or the absolute path of a file on the server.",
    )
    name = text(required=False, max_length=200, placeholder="Our packs", help_text="For people; else its address.")
    headers = lines(
        placeholder="Authorization: Bearer …",
        help_text="Sent to its own server only, one a line. They are encrypted; one that stays ******** is kept.",
    )
    enabled = tick(initial=True, label="Look in it")

    def clean_headers(self) -> dict[str, str]:
        """The lines as names and values. Raises ValidationError."""
        given: dict[str, str] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["headers"].splitlines())):
            name, colon, value = line.partition(":")
            if not colon:
                raise forms.ValidationError(f"{line[:20]!r} is no header; write `Name: value`.")
            given[name.strip()] = value.strip()
        return given


def written(headers: dict[str, str]) -> str:
    """Headers as the form has them."""
    return "\n".join(f"{name}: {value}" for name, value in headers.items())
