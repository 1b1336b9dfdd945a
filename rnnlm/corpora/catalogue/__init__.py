"""The catalogue of public corpora, ``corpora/catalogue.yaml``, and their downloads.

A download goes to ``NAME.part`` beside its place, with what the server said of it (address, ETag, date,
length) in ``NAME.part.json``, so that a cut download goes on where it stopped: HTTP Range with If-Range (RFC
9110, sections 13.1.5 and 14.2). A file that changed meanwhile is fetched from its start. Size and hash are
checked before anything stands under its final name; of an archive only the members that the catalogue names
are unpacked, all together.
"""

from rnnlm.corpora.catalogue.entries import Entry, Facts, Listing, Source, Split, describe, find, load
from rnnlm.corpora.catalogue.getting import get

__all__ = ["Entry", "Facts", "Listing", "Source", "Split", "describe", "find", "get", "load"]
