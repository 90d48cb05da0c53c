"""Names of people wherever files can hold them, and a search that finds them again."""
