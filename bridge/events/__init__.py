"""One typed stream of what happened, and who listens — DESIGN §4."""
