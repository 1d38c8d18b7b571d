"""One file per screen; a screen owns its handlers."""
