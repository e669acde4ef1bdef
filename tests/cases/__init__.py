"""The adapter from the neutral form of published bills to our own tariff books; the engine is the product's."""
