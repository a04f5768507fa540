"""Writes configurations in libconfig's syntax from Python values. Knows no key by name.

dict: a group; list: an array of scalars; tuple: a list; str, bool, int as they are.
"""


def value_text(value, indent=0):
    pad = "  " * (indent + 1)
    if isinstance(value, dict):
        inner = "".join(f"{pad}{key} = {value_text(item, indent + 1)};\n" for key, item in value.items())
        return "{\n" + inner + "  " * indent + "}"
    if isinstance(value, tuple):
        return "( " + ", ".join(value_text(item, indent) for item in value) + " )"
    if isinstance(value, list):
        return "[ " + ", ".join(value_text(item, indent) for item in value) + " ]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def config_text(settings):
    return "".join(f"{key} = {value_text(item)};\n" for key, item in settings.items())
