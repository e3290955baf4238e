"""All windows of a canvas take each step together: their answers are averaged, and they normalise by the canvas."""
