"""The API of rules, events and enforcements."""
