"""Files of other servers, by URL."""
