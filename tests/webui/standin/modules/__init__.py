"""A stand-in for the webui's `modules` package: what an extension touches, without gradio, a checkpoint or a GPU.

Our own writing from the observed behaviour of AUTOMATIC1111 v1.10.1; "file:line" in the docstrings is where v1.10.1
does what is reproduced. ../../facts.json holds what the real one answers to ../../probes, and test_standin.py holds
this package to it. `modules.standin` has the knobs and the log of a test; nothing else here exists only for tests.
"""
