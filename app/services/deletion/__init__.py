"""The deletion of an organization: asked for by an owner, taken back within seven days, or carried
out by the worker."""
