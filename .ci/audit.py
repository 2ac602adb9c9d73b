"""Known holes in locked packages: exit 1 if there is one, and say so where nobody could be asked."""

import json
import subprocess
import sys

_LONGEST_S = 120.0


def main(lock: str) -> int:
    """Ask the package index's advisory database about every package of a lock file.

    A machine without a network, or behind a mirror that has no advisories, must not fail for that: what
    could not be asked about is counted out loud instead.
    """
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    command += ["--requirement", lock, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        print(f"{lock}: NOT AUDITED, the advisory database cannot be reached")
        return 0
    asked = [one for one in packages if "skip_reason" not in one]
    holes = [(one, hole) for one in asked for hole in one["vulns"]]
    for one, hole in holes:
        fixed = ", ".join(hole["fix_versions"]) or "no version"
        print(f"{lock}: {one['name']} {one['version']}: {hole['id']}, fixed in {fixed}")
    unasked = len(packages) - len(asked)
    missing = f"; NOT AUDITED, unknown to the index asked: {unasked}" if unasked else ""
    print(f"{lock}: {len(asked)} packages audited, known holes: {len(holes)}{missing}")
    return int(bool(holes))


if __name__ == "__main__":
    sys.exit(max([main(lock) for lock in sys.argv[1:]]))
