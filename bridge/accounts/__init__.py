"""Customer accounts, which WHMCS calls clients; their members, invites and contacts — whmcs-api §3.5, §3.6.

    accounts.py     made with their owner, found, listed, changed, closed, removed
    members.py      who belongs where and may do what; the one owner
    invites.py      made, mailed, accepted once
    contacts.py     other addresses that receive mail
    outcomes.py     why something was not done: values, never errors
    joining.py      an invite followed: by a user, or by somebody who becomes one
    send.py         the letter of an invite
    numbers.py      the number of a user as a client
    cached.py       the accounts of a user, at most two seconds old

What changes something takes a `Deed` (`bridge.events.ledger`) and writes its audit row in the same transaction.
"""
