"""From tables of measurements to windows: reading, splitting in time, scaling, cutting; and named public data sets.

Downwards: `read` → `table` → `split` → `scaler` → `windows` → `answer` (back to the user's own form).
"""

from gatework.data import catalogue as catalogue
from gatework.data.answer import to_frame as to_frame
from gatework.data.answer import write_table as write_table
from gatework.data.calendar import add_calendar as add_calendar
from gatework.data.grid import Step as Step
from gatework.data.idx import read_idx as read_idx
from gatework.data.read import read_table as read_table
from gatework.data.scaler import Scaler as Scaler
from gatework.data.split import Part as Part
from gatework.data.split import Split as Split
from gatework.data.split import split_table as split_table
from gatework.data.table import Series as Series
from gatework.data.table import Table as Table
from gatework.data.windows import Windows as Windows
