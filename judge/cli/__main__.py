"""`python -m judge.cli`."""

from judge.cli.main import main

main()
