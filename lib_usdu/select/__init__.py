"""Which tiles of a pass are refined: those a mask touches, those that are not flat, those asked for by number. And how
much each place of them is: strength.py.

Each other module takes passes and gives passes with fewer tiles.
"""
