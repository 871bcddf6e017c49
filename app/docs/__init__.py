"""For people who read: the playground, the pages about errors, the machine-readable description."""
