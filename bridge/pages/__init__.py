"""What a person sees — DESIGN §7."""
