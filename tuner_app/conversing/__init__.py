"""Conversations with a model, for whichever interface shows them: no terminal and no browser in here."""
