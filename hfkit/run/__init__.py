"""A run: its plan, its folder, its fitting, and opening it again."""
