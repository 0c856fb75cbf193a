"""Python packages of one module, as files that need no index and nothing to build them."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path


def wheel(folder: Path, version: str = "1.0", name: str = "tiny") -> Path:
    """A package of one module, as a file that needs no index."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def tiny(python: Path, name: str = "tiny") -> str:
    told = subprocess.run(
        [python, "-c", f"import {name}; print({name}.VERSION)"], capture_output=True, text=True, timeout=60
    )
    return told.stdout.strip()
