"""Everything that needs an accelerator, measured and asserted in one run of under six minutes: `python -m bench.gpu`.

Nothing is fetched; all weights are random, which cost the same. `--tiny` runs every section on the CPU with tiny
models, only to see that the measuring itself works.
"""
