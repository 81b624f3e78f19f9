"""The memory of the functions after twenty thousand requests is that after a few thousand."""

from pathlib import Path

from common.keys import Key
from tests.long.load import CLIENTS, loaded, report
from tests.long.traffic import Traffic

WARM_UP = 4_000
REQUESTS = 20_000
# For allocators and the first use of rare code. A leak of 100 bytes per request is more.
MAX_GROWTH_KILOBYTES = 1_500


def test_the_memory_of_the_functions_does_not_grow(tmp_path: Path, key: Key) -> None:
    with loaded(tmp_path, key) as (gateway, actors):
        traffic = Traffic(actors)
        traffic.start(most=WARM_UP // CLIENTS)
        traffic.join()
        before = gateway.resident_kilobytes()
        traffic.start(most=REQUESTS // CLIENTS)
        outcomes = traffic.join()
        after = gateway.resident_kilobytes()
    assert len(outcomes) == REQUESTS
    assert [outcome for outcome in outcomes if outcome.wrong or outcome.status >= 500] == []
    growth = {pid: after[pid] - before[pid] for pid in before}
    seconds = max(outcome.at + outcome.seconds for outcome in outcomes) - outcomes[0].at
    print("\n" + "\n".join(report(outcomes, seconds)))  # noqa: T201  # figures
    print(f"{len(before)} processes, {sum(before.values())} KB before, growth {sorted(growth.values())} KB")  # noqa: T201
    assert before.keys() <= after.keys()
    assert max(growth.values()) < MAX_GROWTH_KILOBYTES
