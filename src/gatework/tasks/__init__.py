"""Ready-made jobs, one word each: forecast (`forecast.py`, its parts in `forecast_*.py`). A task knows no other task.

`estimator.py` (scikit-learn's manners) is shared by all of them; the trained folder on disk is `runtime/folder.py`.
"""
