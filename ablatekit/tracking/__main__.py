"""`python -m ablatekit.tracking`: the mirror process."""

from ablatekit.tracking.process import main

if __name__ == "__main__":
    main()
