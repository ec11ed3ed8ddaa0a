"""How the strict server notes that a client broke a rule."""


class Wrong(Exception):
    """The rule, by its clause."""


def check(rule, ok):
    if not ok:
        raise Wrong(rule)
