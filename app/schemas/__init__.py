"""Shapes of what goes over the wire, which the OpenAPI document is made of; the queries of lists stand in app/api."""
