"""README's table of configuration variables."""

import re

from scripts.supervisor import ROOT


def test_the_readme_lists_each_variable_that_is_read_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme.partition("## Configuration")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    code = "".join(path.read_text() for top in ("app", "ingestor", "sql") for path in (ROOT / top).rglob("*.py"))
    read = set(re.findall(r"(?:\benv\.\w+\(|FileAwareEnv\(\)\.\w+\(|_setting\(|envvar=)\s*\"(\w+)\"", code))

    assert read == listed
