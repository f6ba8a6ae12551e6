"""`python -m blogtwin`."""

from blogtwin.cli.app import run

if __name__ == "__main__":
    run()
