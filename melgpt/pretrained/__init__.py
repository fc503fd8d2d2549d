"""The originals' weights under our names."""

from melgpt.pretrained.convert import Asked, Imported, convert, convert_state

__all__ = ["Asked", "Imported", "convert", "convert_state"]
