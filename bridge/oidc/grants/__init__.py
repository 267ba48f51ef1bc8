"""The grant types, one file each."""
