"""Who takes part: agencies and their keys, let in and shut out, as partners are told."""
