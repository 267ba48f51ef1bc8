"""The configuration: one TOML file, the environment over it, every mistake at once — DESIGN §10."""

from bridge.config.config import Config

__all__ = ["Config"]
