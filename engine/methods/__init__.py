"""Training methods, one file each; `engine.spec.methods` lists this folder."""
