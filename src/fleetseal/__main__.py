"""`python -m fleetseal` and the `fleetseal` command."""

import sys


def main() -> None:
    from fleetseal.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
