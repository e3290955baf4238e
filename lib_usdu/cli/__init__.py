"""The command line, `usdu`. `main` is the order of things; `flags` and `given` are what was typed, `jobs` which picture
becomes which, `picture` the way of one of them, `models` the host, `bar`, `say`, `report` and `stop` the rest."""
