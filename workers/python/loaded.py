"""Which files the application consists of, for whoever watches them while they are written."""

import os
import site
import sys
import sysconfig

_OWN_FOLDER = os.path.dirname(__file__)

# How many modules there were when they were listed last.
_counted = 0


def list_fresh_files():
    """As list_files(); nothing where no module has come since the last time."""
    global _counted
    count = len(sys.modules)
    if count == _counted:
        return []
    files = list_files()
    # The list itself may have imported something.
    _counted = len(sys.modules)
    return files


def list_files():
    """The sources of all modules but those that were installed; one that is installed to be edited is where it is written."""
    libraries = _find_libraries()
    files = set()
    for module in list(sys.modules.values()):
        try:
            # A module may be any object. Past what it computes itself: one that is lazy would import what it stands for.
            file = object.__getattribute__(module, "__file__")
        except Exception:
            continue
        if isinstance(file, str) and not file.startswith(libraries):
            files.add(os.path.abspath(file))
    return sorted(files)


def _find_libraries():
    folders = [_OWN_FOLDER]
    folders += [path for name, path in sysconfig.get_paths().items() if name.endswith(("stdlib", "lib"))]
    # Those of the Python that a virtual environment was made by.
    folders += [os.path.dirname(os.__file__), site.getusersitepackages(), *site.getsitepackages()]
    return tuple(os.path.join(folder, "") for folder in folders)
