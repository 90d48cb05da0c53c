"""A model folder and its support → what a person looks at, as one HTML file."""
