"""The command line: its flags, the pictures it is given, what it prints. `main.main` is the program `usdu`."""
