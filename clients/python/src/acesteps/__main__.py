"""`python -m acesteps`: the command line."""

from acesteps.cli.command import run

run()
