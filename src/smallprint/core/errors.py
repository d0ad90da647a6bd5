"""The one error tree: what goes wrong for a user's reason, and the exit code of each kind.

SmallprintError            1
|-- ConfigError            2  wrong use, wrong setting
|-- DataError              3  the table, its labels, its splits
|-- DocumentError          4  a scanned file
|-- TrainingError          5  backbone, training, resume
|-- BundleError            6  a bundle that is damaged, changed or too new
|-- ExportError            7  another format, another place
`-- MissingExtraError      8  something optional is not installed

Goes in: three sentences (found, expected, what to do). Comes out: one message. A traceback means a bug.
"""


class SmallprintError(Exception):
    """Anything that a user can mend; its message is all they need.

    Args:
        found: What was found, with the place.
        expected: What was expected instead.
        do: What to do about it.
    """

    exit_code = 1

    def __init__(self, found: str, expected: str = "", do: str = "") -> None:
        self.found, self.expected, self.do = found, expected, do
        lines = [found, f"Expected: {expected}" if expected else "", f"What to do: {do}" if do else ""]
        super().__init__("\n".join(line for line in lines if line))


class ConfigError(SmallprintError):
    """A setting or an argument that cannot be used."""

    exit_code = 2


class DataError(SmallprintError):
    """A table that cannot be read, or labels that cannot be learned."""

    exit_code = 3


class DocumentError(SmallprintError):
    """A document that cannot be scanned."""

    exit_code = 4


class TrainingError(SmallprintError):
    """A training that cannot start, go on or be resumed."""

    exit_code = 5


class BundleError(SmallprintError):
    """A bundle that is damaged, changed since it was written, or of a newer version."""

    exit_code = 6


class ExportError(SmallprintError):
    """A model that another format cannot hold, or another place does not take."""

    exit_code = 7


class MissingExtraError(SmallprintError):
    """A part that is optional and not installed."""

    exit_code = 8
