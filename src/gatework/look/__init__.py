"""Pictures of what a trained folder knows: `report(folder)` writes its page, `pictures` has each
drawing by itself.

Measurements are taken by the tasks and stand in `report.json`; matplotlib is known only in this
room.
"""

from gatework.look import pictures
from gatework.look.page import report

__all__ = ["pictures", "report"]
