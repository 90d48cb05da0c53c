"""One module per part of the report: from what is known of a model to blocks of text and charts."""
