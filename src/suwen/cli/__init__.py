"""The command ``suwen``: one thin file a verb, no logic."""
