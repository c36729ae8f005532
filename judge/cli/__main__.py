"""`python -m judge.cli`, and the start of the command `judge`."""

import signal

# While modules are imported, Ctrl-C ends the process without a traceback. `main` handles it after that.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from judge.cli.main import main  # noqa: E402  # only after that

if __name__ == "__main__":
    main()
