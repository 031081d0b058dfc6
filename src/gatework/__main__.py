"""`python -m gatework` is the command `gatework`."""

from gatework.cli import main

if __name__ == "__main__":
    main()
