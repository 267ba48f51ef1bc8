"""What a Redis user of the bridge, and one of a satellite, may do — security.md §11, sessions-and-accounts.md §5.8.

ACL SETUSER bridge on >PASSWORD <bridge_rules>
ACL SETUSER satellite on >PASSWORD <satellite_rules>
"""

from bridge.stores.store import INDEX_PREFIX

_SATELLITE = "+get +mget +ping +client|tracking"
_IN_SCRIPTS = "+time +exists +set +del +pttl +pexpire +zadd +zrem +zrange +zremrangebyscore +hmget +hset"
_BRIDGE = f"{_SATELLITE} +select +info +eval +evalsha {_IN_SCRIPTS}"


def bridge_rules(prefix: str) -> str:
    """The rules for the bridge itself; `prefix` is `lb:<instance>:`."""
    return f"resetkeys ~{prefix}* ~{INDEX_PREFIX}{prefix}* resetchannels -@all {_BRIDGE}"


def satellite_rules(prefix: str) -> str:
    """The rules for who only asks "who is there?": sessions, stamps and the versions of what it may keep in memory,
    read and watched, nothing written.
    """
    return f"resetkeys ~{prefix}s:* ~{prefix}v:* ~{prefix}ver:* resetchannels -@all {_SATELLITE}"
