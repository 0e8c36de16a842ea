"""Make the sample again: ``python -m cxlib.simulate data/sample``."""

import sys

from cxlib.simulate import sample

if len(sys.argv) != 2:
    sys.exit("usage: python -m cxlib.simulate FOLDER")
print(sample(sys.argv[1]).faults.to_string(index=False))
