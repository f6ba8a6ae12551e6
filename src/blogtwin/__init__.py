"""Blogtwin: your own posts in, a local model that writes like you out, with proof that it does."""

__version__ = "0.1.0"
