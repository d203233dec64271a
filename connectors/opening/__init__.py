"""A sealed message of the hub becomes deliveries to be trusted, here or in another process."""
