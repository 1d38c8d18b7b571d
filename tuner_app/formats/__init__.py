"""Files in and out: one module per format, over the containers that they come in.

`read` takes text byte for byte. Refused, with a line number: what cannot be stored or tokenized (NUL
characters, lone surrogates, bytes outside the encoding), empty replies, unknown roles, doubled keys, NaN.
"""

from tuner_app.formats.catalogue import FORMATS, named
from tuner_app.formats.reading import Reading, read
from tuner_app.formats.records import Format, Refusal, Row
from tuner_app.formats.strangers import UnknownColumnsError
from tuner_app.formats.writing import write

__all__ = ["FORMATS", "Format", "Reading", "Refusal", "Row", "UnknownColumnsError", "named", "read", "write"]
