"""The documentation: the playground, the pages about plans and errors, the OpenAPI document."""
