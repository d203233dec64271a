"""The relay: what a partner may see as keyed messages in its own Kafka, and their schemas."""
