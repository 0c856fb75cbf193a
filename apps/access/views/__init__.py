"""The API of the gate: signing in and out, and the audit log."""
