"""The states of a response."""

#: STARTED: its head has not gone out yet, since its body may come at once.
AWAITED, STARTED, SENDING, COMPLETE = range(4)
