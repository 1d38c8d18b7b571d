"""Processes of their own: chat and training. The only places where the store and the engine meet."""
