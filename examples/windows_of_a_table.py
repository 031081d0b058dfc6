"""From a table with gaps to windows, and what forecasts without any training reach on them."""

from gatework.data import Scaler, Windows, catalogue, read_table, split_table
from gatework.metrics import mae, repeat_last, seasonal_naive

table = read_table(catalogue.get("co2"))
print(f"{len(table.series[0])} weeks, {table.missing} values missing, step {table.step}")

split = split_table(table, "0.7,0.1,0.2")
scaler = Scaler.fit(split)  # sees the training part alone
scaled = scaler.transform(table)
windows = Windows(scaled, split.test, input_length=104, horizon=26)
batch = windows.batch(range(len(windows)))

past, future, observed = batch["past"], batch["future"], batch["future_mask"]
shown = batch["past_mask"]
for name, forecast in {
    "repeat last": repeat_last(past, 26, shown),
    "seasonal naive": seasonal_naive(past, 26, 52, shown),
}.items():
    print(
        f"{name:15s} MAE {mae(future, forecast, observed) * scaler.scale[0]:.2f} ppm, half a year ahead"
    )
