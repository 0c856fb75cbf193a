"""The `attune` command: a client of the API. It knows the wire and nothing else: neither Django nor a room."""

VERSION = "0.1.0"
