"""The tree of ingest's errors.

IngestError
├── ProfileError      a driver or profile is wrong: file, key, what to do
├── LinkClosed        the peer or the time-out closed the stream; the link is reopened by its next call
└── WireRefusal       bytes that are not what they should be; stays inside wire/ and links/, becomes a Finding
"""


class IngestError(Exception):
    """Root of ingest's errors."""


class ProfileError(IngestError):
    """A driver, profile or configuration names something that does not exist or contradicts itself."""


class LinkClosed(IngestError):
    """The stream ended; the link reopens on its next call."""


class WireRefusal(IngestError):
    """Bytes that are not a valid answer; ``reason`` is the stable word that the finding carries."""

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep the stable ``reason`` beside the readable text."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
