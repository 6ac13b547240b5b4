"""`python -m ablatekit`: the command line of the interpreter that is named."""

from ablatekit.cli.main import main

if __name__ == "__main__":
    main()
