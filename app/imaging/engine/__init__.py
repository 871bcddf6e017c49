"""What decodes, changes and encodes pictures. Only worker processes, tests and benchmarks load
it."""
