"""The engine: examples in, adapter out.

A library that knows no database and no interface. Importing this package imports no torch; the modules
that need it import it themselves.
"""
