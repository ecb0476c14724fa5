"""What the commands do between their options and their print-out; `hwsim/cli.py` has both ends."""
