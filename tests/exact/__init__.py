"""A deliberately slow and naive rater in exact fractions: it reads a book's TOML and imports nothing of tariff/."""
