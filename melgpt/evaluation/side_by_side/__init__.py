"""Several reports held against each other, by their measures and by ear."""
