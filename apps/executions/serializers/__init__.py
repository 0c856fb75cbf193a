"""What the executions room looks like on the wire."""
