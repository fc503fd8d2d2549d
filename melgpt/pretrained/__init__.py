"""The originals' weights under our names."""

from melgpt.pretrained.convert import convert, convert_state
from melgpt.pretrained.imported import Asked, Imported

__all__ = ["Asked", "Imported", "convert", "convert_state"]
