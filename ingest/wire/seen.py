"""What a frame reader found at a place: the frame, or one of three words for why there is none."""

from typing import Final, Generic, NamedTuple, TypeVar

T_co = TypeVar("T_co", covariant=True)
MORE: Final = "more"
"""What is there may be the beginning of a frame."""
BAD: Final = "bad_checksum"
"""It has the shape of a frame, and a check failed."""
NONE: Final = "not_a_frame"


class Seen(NamedTuple, Generic[T_co]):
    """A frame (``miss`` is "") or why not, and how many bytes it takes."""

    frame: T_co | None
    miss: str
    size: int
