"""Users and the authorities that vouch for them — DESIGN §8."""
