"""What differs from one kind of model to the next: a row for each (table.py), and the three things rows choose from:
how latents are packed, how prompts are encoded, which schedule the sampler follows."""
