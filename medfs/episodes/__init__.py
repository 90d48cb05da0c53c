"""Patient-disjoint few-shot tasks: drawn from a cohort, or read from a frozen list."""
