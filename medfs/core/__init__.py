"""Values that the stages hand to each other, and errors. No file is opened, MONAI is not imported."""
