"""The command `login-bridge`, also as `python -m bridge` — DESIGN §10."""

import gc
import sys


def main() -> int:
    """Run the command line; returns the exit status."""
    gc.disable()  # what is imported stays: to look through it for garbage takes a quarter of a command's time
    from bridge.cli.main import run  # noqa: PLC0415  whoever imports this module need not have what a command needs

    gc.freeze()
    gc.enable()
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
