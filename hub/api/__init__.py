"""The HTTP API: what Kafka carries, for partners without it, and what an operator watches."""
