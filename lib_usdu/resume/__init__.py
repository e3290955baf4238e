"""Finished tiles kept on disk, so that a stopped run goes on: the journal, its entries, the keys they are found by."""
