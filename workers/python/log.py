"""Lines for Lido's log that come from the midst of an application's code."""

import sys
from threading import get_ident

#: Who takes a line, by the identity of the thread that says it; where nobody does it goes to standard error.
voices = {}


def tell(text):
    voice = voices.get(get_ident())
    if voice is None:
        sys.stderr.write(text + "\n")
    else:
        voice(text)
