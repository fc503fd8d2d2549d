"""The one exception for anything that the user can mend; commands turn it into one line and exit code 2."""


class UserError(ValueError):
    """What was given, what was expected and what to do, in one sentence or two."""


def closest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """`; did you mean 'x'?` for the nearest known word, or the list of what there is, if anything."""
    import difflib

    if not known:
        return ""
    near = difflib.get_close_matches(word.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    if near:
        original = next(k for k in known if k.lower() == near[0])
        return f"; did you mean '{original}'?"
    shown = ", ".join(known[:20]) + (" …" if len(known) > 20 else "")
    return f"; known: {shown}"


def in_short(reason: object, most: int = 160) -> str:
    """What a library says of an error, as one line of at most so many characters."""
    words = " ".join(str(reason).split())
    return words if len(words) <= most else f"{words[: most - 1]}…"
