"""Who this agency is towards the hub, and how the two talk: keys, registry, what comes and goes."""
