"""What the book draws and says with `queen_ref`; nothing of it is needed to use the package."""
