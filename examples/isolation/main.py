"""Shows everything that this task sees of the world it was started from."""

import os
import site
import sys
from pathlib import Path

OWN = {"GREETING", "HOME", "LANG", "PATH", "TMPDIR", "VIRTUAL_ENV", "LC_CTYPE", "WRUN_RUN"}

print("greeting:", os.environ["GREETING"])
print("variables of the caller:", sorted(set(os.environ) - OWN))
print("python path of the caller:", os.environ.get("PYTHONPATH"))
print("packages of the user:", "used" if site.ENABLE_USER_SITE else "not used")
print("files in the home folder:", len(list(Path.home().iterdir())))
print("runs in an environment of its own:", sys.prefix != sys.base_prefix)
