"""One function per number that we report, with equation and source, and the naive yardsticks beside it. NumPy only."""

from gatework.metrics.interval import coverage as coverage
from gatework.metrics.interval import interval_score as interval_score
from gatework.metrics.interval import pinball as pinball
from gatework.metrics.interval import width as width
from gatework.metrics.point import bias as bias
from gatework.metrics.point import mae as mae
from gatework.metrics.point import mase as mase
from gatework.metrics.point import mse as mse
from gatework.metrics.point import rmse as rmse
from gatework.metrics.point import seasonal_error as seasonal_error
from gatework.metrics.yardsticks import Linear as Linear
from gatework.metrics.yardsticks import linear_fit as linear_fit
from gatework.metrics.yardsticks import linear_predict as linear_predict
from gatework.metrics.yardsticks import repeat_last as repeat_last
from gatework.metrics.yardsticks import seasonal_naive as seasonal_naive
