"""hello_python.describe_size: parameters on stdin as JSON, the result on stdout as JSON, trouble on stderr."""

import json
import sys

import humanize  # from requirements.txt, in this pack's own environment


def describe(size: int, binary: bool) -> dict:
    """The size in words, together with the number it came from."""
    return {"bytes": size, "text": humanize.naturalsize(size, binary=binary)}


def main() -> int:
    parameters = json.loads(sys.stdin.readline())
    size = parameters.get("bytes")
    if not isinstance(size, int) or size < 0:
        print(f"describe_size: bytes must be a whole number of at least 0, not {size!r}", file=sys.stderr)
        return 1
    print(json.dumps(describe(size, bool(parameters.get("binary")))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
