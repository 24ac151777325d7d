"""`python -m splitnet`."""

from splitnet.cli import main

if __name__ == "__main__":
    main()
