"""`login-bridge keys`: what is where, a rotation, and a key that leaked — docs/incident.md."""

from bridge.app.rooms import Rooms
from tests.cli.conftest import Command, within


def _by_state(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    states: dict[str, list[str]] = {}
    for row in rows:
        states.setdefault(row["state"], []).append(row["alg"])
    return {state: sorted(algs) for state, algs in states.items()}


ALL = ["ES256", "EdDSA", "RS256"]


def test_new_keys_are_published_and_wait(place: object, command: Command) -> None:
    before = command("keys", "list", "--json").json
    assert _by_state(before) == {"active": ALL}
    assert all(row["until"] == row["since"] + 90 * 86_400 for row in before)
    pending = command("keys", "rotate", "--json").json["pending"]
    assert sorted(row["alg"] for row in pending) == ALL
    assert all(row["until"] == row["since"] + 300 + 60 for row in pending)
    both = command("keys", "list", "--json").json
    assert _by_state(both) == {"active": ALL, "pending": ALL}
    ends = {(row["alg"], row["until"]) for row in both}
    assert ends == {(row["alg"], row["until"]) for row in pending}, "the old one signs until the new one does"
    assert command("keys", "rotate", "--json").json["pending"] == pending  # they wait still
    said = command("keys", "list")
    assert said.status == 0 and pending[0]["kid"] in said.out and "UTC" in said.out


def test_a_key_stays_published_for_longer_than_anything_that_it_signed_is_of_use(place: object) -> None:
    """Openid-provider §12 no. 86: an ID token is a hint for as long as its session may live."""

    async def work(rooms: Rooms) -> tuple[int, int, int]:
        config, schedule = rooms.config, rooms.keyring.schedule
        assert schedule.before > config.oidc.jwks_max_age
        return schedule.after, config.oidc.id_token, config.sessions.longest

    after, *lives = within(work)
    assert after > max(lives) == 30 * 86_400


def test_a_key_that_leaked_is_gone_at_once(place: object, command: Command) -> None:
    (key,) = [row for row in command("keys", "list", "--json").json if row["alg"] == "ES256"]
    done = command("keys", "compromise", key["kid"], "--json").json
    assert done["compromised"] == key["kid"] and sorted(one["alg"] for one in done["active"]) == ALL
    assert key["kid"] not in [one["kid"] for one in done["active"]]
    assert _by_state(command("keys", "list", "--json").json) == {"active": ALL, "compromised": ["ES256"]}
    again = command("keys", "compromise", key["kid"])
    assert again.status == 1 and again.err == f"login-bridge: no key {key['kid']} is in use\n"
    said = command("keys", "compromise", done["active"][0]["kid"])
    assert said.status == 0 and "is gone" in said.out and "is signed by" in said.out


def test_one_algorithm_is_rotated_alone(place: object, command: Command) -> None:
    """Some clients stumble over a new key of a kind that they do not know."""
    pending = command("keys", "rotate", "--alg", "RS256", "--json").json["pending"]
    assert [row["alg"] for row in pending] == ["RS256"]
    refused = command("keys", "rotate", "--alg", "RS384")
    said = "login-bridge: nothing is signed with RS384, but with RS256, ES256, EdDSA\n"
    assert (refused.status, refused.err) == (1, said)
