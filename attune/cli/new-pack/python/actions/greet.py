"""__pack__.greet: parameters on stdin as JSON; what is printed is the result, what goes to stderr is for the log."""

import json
import sys


def main() -> int:
    parameters = json.loads(sys.stdin.readline())
    name, greeting = parameters.get("name"), parameters.get("greeting", "Hello")
    if not name:
        print("greet: there is nobody to greet; give a name", file=sys.stderr)
        return 1
    print(f"{greeting}, {name}!")
    return 0


if __name__ == "__main__":
    sys.exit(main())
