"""Stored reads, a policy and payments go in; what the whole engine would have done comes out."""
