"""The platform's face: REST API, web pages, background jobs and the command line."""
