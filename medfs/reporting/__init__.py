"""Plain values → one HTML file that needs nothing else: no script, no font, no other file."""
