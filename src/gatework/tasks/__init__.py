"""Ready-made jobs, one word each: forecast (`forecast.py`, its parts in `forecast_*.py`). A task knows no other task.

`estimator.py` (scikit-learn's manners) and `folder.py` (the trained folder on disk) are shared by all of them.
"""
