"""A partner's database: how it is opened, what it has to have, which rights are needed."""
