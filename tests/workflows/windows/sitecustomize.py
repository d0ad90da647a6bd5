"""Makes Linux refuse what Windows refuses, in every Python process that has this folder in PYTHONPATH.

For smallprint there is no fcntl and no resource; os.fsync wants a file that may be written; a file that this process has open or mapped is
neither removed nor renamed nor replaced; os.rename does not replace. Each file that was open is written to the file WINDOWS_LOG.
"""

import builtins
import errno
import os
import traceback

ABSENT = ("fcntl", "resource", "pwd", "grp", "termios")
real_import, real_fsync = builtins.__import__, os.fsync


def without(name, globals=None, locals=None, fromlist=(), level=0):
    if name in ABSENT and (globals or {}).get("__name__", "").startswith("smallprint"):
        raise ModuleNotFoundError(f"No module named {name!r} (as on Windows)", name=name)
    return real_import(name, globals, locals, fromlist, level)


def fsync(file):
    number = file if isinstance(file, int) else file.fileno()
    with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as told:
        flags = next(int(line.split()[1], 8) for line in told if line.startswith("flags"))
    if flags & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor: opened for reading (as on Windows)")
    real_fsync(number)


def holder(path):
    """Gives the file at or below a path that this process has open or mapped."""
    path = os.fsdecode(os.path.realpath(path))
    there = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if not os.path.isdir(name):
            there.append(name)
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        there += [line[73:].rstrip("\n") for line in maps]
    return next((name for name in there if name == path or name.startswith(path + "/")), None)


def refusing(name):
    real, ends = getattr(os, name), 2 if name in ("rename", "replace") else 1

    def guarded(*paths, **named):
        for path in paths[:ends] if named.get("dir_fd") is None else ():
            held = holder(path) if os.path.lexists(path) and not os.path.islink(path) else None
            if held:
                with open(os.environ["WINDOWS_LOG"], "a", encoding="utf-8") as log:
                    log.write(f"{name} {paths}: {held} is open\n{''.join(traceback.format_stack(limit=8)[:-1])}\n")
                raise PermissionError(errno.EACCES, "open in this process (as on Windows)", str(path))
        if name == "rename" and os.path.exists(paths[1]):
            raise FileExistsError(errno.EEXIST, "already there (as on Windows)", str(paths[1]))
        return real(*paths, **named)

    return guarded


builtins.__import__, os.fsync = without, fsync
for each in ("unlink", "remove", "rename", "replace"):
    setattr(os, each, refusing(each))
