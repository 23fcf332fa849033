"""Tell the MQTT broker which device tokens may log in. The database is the truth, the broker's list follows it."""
