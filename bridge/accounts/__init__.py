"""Customer accounts, which WHMCS calls clients; their members, invites and contacts — whmcs-api §3.5, §3.6."""
