"""bills: computed or posted bills become pages, tables and files, each line with its why."""
