"""The command `login-bridge`, also as `python -m bridge` — DESIGN §10."""

import sys


def main() -> int:
    """Run the command line; returns the exit status."""
    from bridge.cli.main import run  # noqa: PLC0415  whoever imports this module need not have what a command needs

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
