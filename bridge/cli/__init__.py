"""The command `login-bridge` — DESIGN §10.  `bridge.cli.worker` is the server process, without the rest of it."""
