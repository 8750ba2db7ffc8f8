"""The states of a response."""

#: STARTED: its head has not gone out yet, since its body may come at once. TRAILING: its body is whole, and trailers follow.
AWAITED, STARTED, SENDING, TRAILING, COMPLETE = range(5)
