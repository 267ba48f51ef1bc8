"""What must hold of the apps' tokens when everything has settled — store §2; security §4, §15, §20."""

from collections import Counter
from collections.abc import Iterable

from bridge.grants.bearer import Bearer, judge_bearer
from bridge.grants.records import read_family, read_refresh, vouches
from bridge.grants.redemption import keys_of
from tests.model.apps import Apps, Given
from tests.model.judge import settled
from tests.model.world import ANN


def all_settled(apps: Apps) -> list[str]:
    """Everything that is wrong at the end."""
    return sorted({*settled(apps.world), *_tokens(apps), *_used_twice(apps), *_silently(apps), *_generations(apps)})


def alive(apps: Apps) -> list[Given]:
    """The tokens that the project's own readers take for good now."""
    return [each for each in apps.given if _lives(apps, each)]


def at_once(apps: Apps) -> list[str]:
    """What was acknowledged is so without any reconciler."""
    world = apps.world
    if world.store.rolled_back:
        return []
    wrong = [f"{text}, before any reconciler" for text in _tokens(apps)]
    return [text for text in wrong if "acknowledged" in text]


def _tokens(apps: Apps) -> Iterable[str]:
    world = apps.world
    ended = {told.about for told in world.told if told.what == "ended"}
    disabled = world.sql.rows[ANN].user.disabled
    for each in alive(apps):
        family, stands = each.token.family, apps.authorized[each.token.family]
        kind = each.token.kind
        for row in world.sql.happened:
            if row.what in ("all ended", "others ended") and row.step > each.checked_at:
                yield f"a {kind} token of before {row.what} lives"
        for told in world.told:
            if told.what == "all ended" and each.checked_at < _sql_step(apps, told.step):
                yield f"a {kind} token lives after all were acknowledged to be ended"
        if disabled:
            yield f"a {kind} token of a disabled user lives"
        if not stands.offline and stands.session in world.sql.sessions:
            yield f"a {kind} token lives whose session has ended"
        if not stands.offline and stands.session in ended:
            yield f"a {kind} token lives although the end of its session was acknowledged"
        if family in apps.replayed:
            yield f"a {kind} token of a replayed family lives although that was acknowledged"
        if any(stands.consent < version for _, version in apps.withdrawn):
            yield f"a {kind} token lives although the withdrawal was acknowledged"


def _used_twice(apps: Apps) -> Iterable[str]:
    for text, gave in apps.uses.items():
        there = [key for key in gave if apps.world.store.seen(key) != [None]]  # absent: undone by a rollback
        if len(there) > 1:
            yield f"two successes from one {text[:3]}"
    for thing in apps.again:
        yield f"a {thing} that was used works again"


def _generations(apps: Apps) -> Iterable[str]:
    counted = Counter(each.token.family for each in _different(alive(apps)) if each.token.kind == "refresh")
    if any(count > 1 for count in counted.values()):
        yield "two living refresh tokens in one family"


def _silently(apps: Apps) -> Iterable[str]:
    """After a withdrawal nothing is authorized on what it took back."""
    if apps.world.store.rolled_back:
        return
    for stands in apps.authorized.values():
        if any(stands.step > step and stands.consent < version for step, version in apps.withdrawn):
            yield "an authorization on a consent whose withdrawal was acknowledged"


def _different(given: list[Given]) -> list[Given]:
    return list({each.token.sha256: each for each in given}.values())


def _lives(apps: Apps, given: Given) -> bool:
    world, token = apps.world, given.token
    raw, raw_family, raw_stamp = world.store.seen(*keys_of(token, world.names))
    now = world.clock.now()
    if token.kind == "access":
        return isinstance(judge_bearer(raw, raw_family, raw_stamp, token=token, now=now), Bearer)
    refresh, family = read_refresh(raw), read_family(raw_family, token.family, now)
    return refresh is not None and family is not None and vouches(raw_stamp, family.uid, refresh.stamp)


def _sql_step(apps: Apps, until: int) -> int:
    steps = [row.step for row in apps.world.sql.happened if row.what == "all ended"]
    return max((step for step in steps if step <= until), default=0)
