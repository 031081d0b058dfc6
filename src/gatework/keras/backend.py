"""The one import of Keras, with a clear word where it is absent or was started with another backend than torch."""

from gatework.errors import MissingExtraError, OptionError

_REPAIR = "set KERAS_BACKEND=torch in the environment before the first import of keras"

try:
    import keras
except ModuleNotFoundError as error:
    missing = (error.name or "").partition(".")[0]
    if missing in ("keras", "torch"):
        raise MissingExtraError(missing, "keras") from error
    raise OptionError(
        f"Keras was to start with a backend that is not installed ({error.name}), and gatework.keras runs on torch; "
        f"{_REPAIR}"
    ) from error

if keras.backend.backend() != "torch":
    raise OptionError(
        f"Keras was started with the backend {keras.backend.backend()}, and gatework.keras runs on torch; {_REPAIR}"
    )

__all__ = ["keras"]
