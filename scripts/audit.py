"""Ask for known vulnerabilities of every locked Python package: `python -m scripts.audit`.

Exit code 1 names them. Where the list of vulnerabilities cannot be reached it says so, loudly, and ends well.
"""

import json
import subprocess
import sys

from scripts.supervisor import ROOT


def main() -> int:
    lock = ROOT / "scripts" / "requirements.txt"
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format", "json", "-r", lock]
    asked = subprocess.run(command, capture_output=True, text=True)
    packages = json.loads(asked.stdout)["dependencies"] if asked.stdout.startswith("{") else []
    answered = [package for package in packages if "skip_reason" not in package]
    if not answered:
        print("NOT AUDITED: no list of vulnerabilities can be reached from here.", file=sys.stderr)
        return 0
    if len(answered) < len(packages):
        print(f"NOT AUDITED: {len(packages) - len(answered)} of {len(packages)} packages.", file=sys.stderr)
    for package in answered:
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version"
            print(f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
    return any(package["vulns"] for package in answered)


if __name__ == "__main__":
    sys.exit(main())
