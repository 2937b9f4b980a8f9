"""Decision support for charted muscle twitching, over CDS Hooks."""

__version__ = "0.1.0"
