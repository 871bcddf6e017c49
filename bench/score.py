"""SSIMULACRA2 of pairs of files: paths of reference and picture, tab between, a line each; a score
a line comes back.

A process of its own, because children that are spawned by the bench load all that its main module
imports, and the engine's must not grow by scipy.
"""

import sys

from ssimulacra2 import compute_ssimulacra2

if __name__ == "__main__":
    for line in sys.stdin:
        reference, picture = line.rstrip("\n").split("\t")
        print(compute_ssimulacra2(reference, picture), flush=True)
