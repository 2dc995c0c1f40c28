"""``python -m daemon`` is ``strandline``."""

from daemon.cli.main import main

main()
