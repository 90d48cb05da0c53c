"""Values that the stages hand to each other, and errors. Opens no file, never imports MONAI."""
