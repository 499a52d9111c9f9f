"""Foreign libraries, each imported when its work starts."""
