"""A QR code, as an address that an `img` takes: no request, no script, no style — DESIGN §7."""

from urllib.parse import quote

import segno

from bridge.secret import Secret


def qr_code(text: Secret) -> str:
    """Black on white with its quiet zone, whatever the page's colours: else no camera reads it in the dark."""
    drawn = segno.make_qr(text.reveal(), error="m").svg_inline(
        border=4, light="#fff", dark="#000", omitsize=True, svgclass=None, lineclass=None
    )
    return "data:image/svg+xml," + quote(drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
