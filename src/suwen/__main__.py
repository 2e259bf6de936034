"""``python -m suwen``."""

from suwen.cli.main import main

main()
