"""Requests that the bridge makes to addresses which others named — security §16."""
