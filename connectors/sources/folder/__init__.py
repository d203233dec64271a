"""Files dropped into a folder, stated row by row."""
