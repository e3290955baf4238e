"""Model files in all their formats: which kind of model one holds, and how diffusers is brought to read it."""
