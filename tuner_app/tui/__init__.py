"""The terminal app (Textual). It never imports torch: models live in workers."""
