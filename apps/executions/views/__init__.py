"""The API of the executions room."""
