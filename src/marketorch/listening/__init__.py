"""Social listening: one photo or post in, brands, faces, feelings and reasons out.

`Listener.analyse` gives the record of a post, `analyse_folder` those of thousands, and
`brand_report` turns these into a page that a person reads.
"""

from marketorch.listening.folder import ListeningSummary, analyse_folder
from marketorch.listening.listener import Listener
from marketorch.listening.posts import Post, read_posts
from marketorch.listening.record import SCHEMA, SCHEMA_VERSION, from_json, read_records, to_json
from marketorch.listening.report import brand_report

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "Listener",
    "ListeningSummary",
    "Post",
    "analyse_folder",
    "brand_report",
    "from_json",
    "read_posts",
    "read_records",
    "to_json",
]
