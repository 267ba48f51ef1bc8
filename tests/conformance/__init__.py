"""The OpenID Foundation's conformance suite against our provider: what it is told, and what it found.

`python -m tests.conformance` talks to a suite that is running; `docs/conformance.md` says how to have one.
"""
