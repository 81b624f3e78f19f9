"""What docs/operations.md says to run after the whole database was restored."""

import re
from pathlib import Path

from tests.support.database import Database

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_after_a_restore_no_session_is_active_and_no_lost_id_is_given_again(database: Database) -> None:
    ada = database.add_user()
    post = database.add_post(ada)
    [sql] = re.findall(r"^ *```sql\n( *-- Sessions that.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for statement in filter(str.strip, re.sub(r"--.*", "", sql).split(";")):
        database.run(statement)
    assert database.value("SELECT count(*) FROM sessions") == 1
    assert database.value("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 0
    assert database.add_post(ada) > post + 100_000
    assert database.add_user("bob@example.com") > ada + 100_000
