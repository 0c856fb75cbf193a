"""The admin's pages for executions, for the workers that run them, and for the policies that they run under."""

from apps.executions.admin import pages, policies, workers

__all__ = ["pages", "policies", "workers"]
