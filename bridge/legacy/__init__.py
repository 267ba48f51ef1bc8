"""The legacy login API at `/includes/api.php` — spec: whmcs-api."""
