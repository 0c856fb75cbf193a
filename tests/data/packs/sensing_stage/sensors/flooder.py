"""Print far more than a host takes in, as fast as the pipe allows."""

import sys

for number in range(1_000_000):
    sys.stdout.write(f'{{"payload": {{"n": {number}}}}}\n')
