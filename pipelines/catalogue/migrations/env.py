"""How Alembic runs the migrations: on the connection that it is given, inside that connection's transaction."""

from alembic import context

from pipelines.catalogue.tables import Base


def run() -> None:
    """Run the migrations that Alembic chose."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic loads this file; other tools may import it and nothing happens
    run()
