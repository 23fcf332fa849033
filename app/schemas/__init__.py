"""Shapes of what goes over the wire: the one place where they are written, and what the OpenAPI document is made of."""
