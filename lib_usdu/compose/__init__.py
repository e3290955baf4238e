"""How refined tiles become one picture: weights of overlapping tiles, minimum-error cuts, the tone lock, masks.

Everything here works on numpy arrays and knows nothing of models or hosts.
"""
