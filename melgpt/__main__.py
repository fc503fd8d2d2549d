"""`python -m melgpt` is `melgpt`."""

import sys

from melgpt.cli import main

if __name__ == "__main__":
    sys.exit(main())
