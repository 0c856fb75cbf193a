"""The admin's pages for rules, events and enforcements."""

from apps.rules.admin import enforcements, events, rules

__all__ = ["enforcements", "events", "rules"]
