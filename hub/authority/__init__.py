"""Who decides and who may look: officers, what they sign, profiles in force, viewers."""
