"""Meta-training: from task families to a trained mapper."""
