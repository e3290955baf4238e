"""What only makers of this project run: training, figures for the docs. Nothing here is needed at run time."""
