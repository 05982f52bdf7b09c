"""`python -m mobileseg VERB` is the same as `mobileseg VERB`."""

import sys

from mobileseg.cli import main

if __name__ == "__main__":
    sys.exit(main())
