"""The endpoints by the names that WHMCS gives its own, for relying parties that point at those — whmcs-api §6.1.

They are the same endpoints, of the same issuer.  `openid-configuration.php` names them, and for what WHMCS has no name
ours; what begins at `authorize.php` goes on at our own pages.
"""

from collections.abc import Mapping
from typing import Final

DISCOVERY: Final = "/oauth/openid-configuration.php"

PATHS: Final[Mapping[str, str]] = {
    "authorization_endpoint": "/oauth/authorize.php",
    "token_endpoint": "/oauth/token.php",
    "userinfo_endpoint": "/oauth/userinfo.php",
    "jwks_uri": "/oauth/certs.php",
}
"""By the names of their members in the document, as in `bridge.oidc.discovery`."""
