"""`python -m smallprint`: the command line."""

from smallprint.cli.app import main

if __name__ == "__main__":
    main()
