"""What must be delivered, and its senders — DESIGN §4."""
