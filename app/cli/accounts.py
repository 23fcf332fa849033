"""Commands that look after accounts."""

import click

from app.cli.database import database_url


@click.group()
def user() -> None:
    """Look after accounts."""


@user.command("create")
@click.argument("username")
@click.argument("email")
@click.option("--role", type=click.Choice(["citizen", "researcher", "admin"]), default="citizen", show_default=True)
@click.password_option(help="Asked for when not given.")
def create_user(username: str, email: str, role: str, password: str) -> None:
    """Make an account."""
    from marshmallow import ValidationError

    from app.accounts import create_account
    from app.schemas.accounts import SignUp
    from sql import connect

    try:
        fields = SignUp().load({"username": username, "email": email, "password": password})
        with connect(database_url()) as conn:
            user_id = create_account(conn, role=role, **fields)
    except (ValidationError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"made user {user_id}")
