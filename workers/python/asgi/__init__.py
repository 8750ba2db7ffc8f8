"""The server side of ASGI 3: one event loop for each worker thread, which runs many requests at once."""
