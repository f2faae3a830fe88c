"""``python -m hfkit`` is ``hfkit``; launchers of several processes start it this way."""

from hfkit.cli.app import main

if __name__ == "__main__":
    main()
