"""Policies: how many executions run at a time, how often they start, and when what failed is tried again."""
