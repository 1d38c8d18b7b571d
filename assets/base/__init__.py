"""The built-in base: a small chat model, how it was made, and how it was measured."""

from pathlib import Path

FOLDER = Path(__file__).parent
