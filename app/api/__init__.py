"""The REST API: one module a resource."""

from flask_smorest import Blueprint

from app.api.forms import BodyParser

Blueprint.ARGUMENTS_PARSER = BodyParser()  # before any view says what arguments it takes
