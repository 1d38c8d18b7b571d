"""The page: chat and labelling for people in a browser."""
