"""`python -m steelyard.cli`, if the script is not on PATH."""

from steelyard.cli.app import main

if __name__ == "__main__":
    main()
