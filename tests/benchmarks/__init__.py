"""How fast, beside whom: completions per CPU second of the server, the sides taking turns — docs/benchmarks.md."""
