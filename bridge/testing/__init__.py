"""What others import to test their own: a clock to move, and suites for stores and backends — spec/style.md §8."""
