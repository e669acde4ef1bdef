"""The operator's console: store -> views -> server-rendered pages, live by server-sent events."""
