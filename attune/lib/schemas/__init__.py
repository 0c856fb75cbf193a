"""Parameter and payload schemas: normalised once, then values are checked against them and defaults filled in.

Packs write a schema flat (`message: {type: string, required: true}`) or as JSON Schema (`type: object, properties: …`).
`normalise` makes JSON Schema 2020-12 of both; everything else takes that normal form, in which `secret: true` may
stand on any property.
"""

from attune.lib.schemas.checking import SchemaMismatch, check, misfit_defaults
from attune.lib.schemas.dialects import SchemaFault, normalise
from attune.lib.schemas.masking import MASK, mask, secret_paths, secret_places, secret_values

__all__ = [
    "MASK",
    "SchemaFault",
    "SchemaMismatch",
    "check",
    "mask",
    "misfit_defaults",
    "normalise",
    "secret_paths",
    "secret_places",
    "secret_values",
]
