"""Sessions: started, resolved, touched, rotated and ended — DESIGN §6."""
