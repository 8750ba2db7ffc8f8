"""What it raises cannot be made text of."""


class Untold(Exception):
    def __str__(self):
        raise RuntimeError("no text")


raise Untold
