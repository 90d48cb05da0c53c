"""One few-shot method per file, all with the signature of `medfs.core.mapping.Mapper`."""
