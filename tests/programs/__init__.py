"""Small programs as a user would write them, from the documentation alone."""
