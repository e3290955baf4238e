"""The command line, `usdu`. `main` is the order of things; `flags` is what was typed, `size` and `jobs` which picture
becomes which, `targets` and `planning` what is refused, `models` the host, `batch` and `picture` the work, `say`,
`printed`, `report` and `stop` the rest.
"""
