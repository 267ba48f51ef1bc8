"""The visit of a browser in several steps: record, dispatcher, proofs — DESIGN §4."""
