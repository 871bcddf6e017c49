"""Worker processes that work on files. The web process loads this and never the engine."""
