"""What a person sees: sign-in, second step, consent, reset, account, signed out, error — DESIGN §7.

The models (`models.py`) are what a page must be told, `render.py` makes HTML of them, `headers.py` the headers.
"""
