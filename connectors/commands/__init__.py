"""The commands of an agency and of a partner's connector."""
