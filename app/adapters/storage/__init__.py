"""Objects under keys, in a local folder or in S3."""
