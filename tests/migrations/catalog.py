"""The schema of a database, as PostgreSQL's catalog describes it."""

from typing import Any

from sqlalchemy import Engine, create_engine, make_url, pool, text

OWN = "n.nspname = 'public' AND c.relname <> 'alembic_version'"
TABLES = {
    "columns": f"""
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE {OWN} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": f"""
        SELECT c.relname, k.conname, k.contype::text, pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {OWN}""",
    "indexes": f"""
        SELECT c.relname, pg_get_indexdef(i.indexrelid)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {OWN}""",
    "sequences": f"""
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {OWN} AND c.relkind = 'S'""",
}
PROGRAMS = {
    "functions": """
        SELECT p.proname, pg_get_functiondef(p.oid)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public'""",
    "triggers": "SELECT t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT t.tgisinternal",
    "types": """
        SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = 'public' AND t.typtype IN ('e', 'd', 'r')""",
    "extensions": "SELECT extname FROM pg_extension",
}

Catalog = dict[str, list[tuple[Any, ...]]]


def engine(url: str) -> Engine:
    """Return an engine for the database at a URL. It closes each connection after its use."""
    # Without this argument, pg8000 reads the certificates of the system for each connection.
    return create_engine(
        make_url(url).set(drivername="postgresql+pg8000"),
        connect_args={"ssl_context": False},
        poolclass=pool.NullPool,
    )


def describe(url: str, queries: dict[str, str]) -> Catalog:
    """Return the rows that each query selects from the database at a URL."""
    with engine(url).connect() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(text(query))), key=repr)
            for name, query in queries.items()
        }
