"""What most Python actions do around their work: read the parameters, look at them, print a result."""

import argparse
import json
import re
import sys


def main():
    parameters = json.loads(sys.stdin.readline())
    words = re.findall(r"\w+", parameters.get("text", "") + argparse.__name__)
    print(json.dumps({"words": len(words)}))


if __name__ == "__main__":
    main()
