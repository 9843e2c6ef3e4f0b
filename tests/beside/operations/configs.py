"""x."""


def run(script):
    pass
