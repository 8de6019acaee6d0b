"""What the line costs, held against the cheapest thing that could be done with the same file."""
