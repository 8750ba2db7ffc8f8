"""Is still being imported when it is told to stop."""

import sys
import time

print("importing", file=sys.stderr, flush=True)
time.sleep(3600)
