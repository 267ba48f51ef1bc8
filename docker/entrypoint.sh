#!/bin/sh
# Before it serves: the secrets and the tables that are not there yet.  Any other command of login-bridge runs as it is.
set -eu
if [ "${1:-serve}" = serve ]; then
    login-bridge init
fi
exec login-bridge "${@:-serve}"
