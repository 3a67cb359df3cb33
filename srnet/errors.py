"""Every error that srnet raises on purpose.

::

    SRNetError                 anything below; catch this one
    ├── OptionError            an option or argument that cannot work (scale 0, unknown model)
    ├── PictureError           the input is not a picture that can be used
    │   ├── DecodeError        not a picture, or truncated, or corrupt
    │   └── TooLargeError      decoding or upscaling it would pass a limit
    ├── OutputError            the result cannot be encoded or written as asked
    ├── WeightsError           a weights file is missing, damaged, or of the wrong kind
    ├── DataError              a training or benchmark folder that cannot be used
    ├── TrainingError          a training run that went wrong by its settings
    ├── SetupError             this machine lacks what was asked for: a device, a package
    ├── DeviceError            the device is out of memory after every retry
    └── Cancelled              the caller asked to stop

Each message says what happened and what to do about it. HTTP codes and exit codes
are chosen at the edges (``server/problems.py``, ``srnet/cli/__init__.py``), not here.
"""

from __future__ import annotations


class SRNetError(Exception):
    """Base of the tree.

    ::

        try:
            srnet.upscale("in.jpg", "out.png", scale=4)
        except srnet.SRNetError as error:
            print(error)
    """


class OptionError(SRNetError):
    """An option or argument that cannot work."""


class PictureError(SRNetError):
    """The input is not a picture that can be used."""


class DecodeError(PictureError):
    """The bytes are not a picture of a known format, or are truncated or corrupt."""


class TooLargeError(PictureError):
    """Decoding or upscaling the picture would pass a limit."""


class OutputError(SRNetError):
    """The result cannot be encoded or written as asked."""


class WeightsError(SRNetError):
    """A weights file is missing, damaged, or of the wrong kind."""


class DataError(SRNetError):
    """A training or benchmark folder that cannot be used."""


class TrainingError(SRNetError):
    """A training run that went wrong by its settings."""


class SetupError(SRNetError):
    """This machine lacks what was asked for: a device, or the packages of an extra."""


class DeviceError(SRNetError):
    """The device ran out of memory after every retry."""


class Cancelled(SRNetError):  # noqa: N818 - it is no mistake of anyone
    """The caller asked to stop."""
