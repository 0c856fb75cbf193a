"""The API of packs and what they define."""
