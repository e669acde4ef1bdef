"""One contract suite per kind of plug-in: it runs over every plug-in that the loader finds."""
