"""Training for the systems that need it: fine-tuning, learned clips, trained neurons."""
