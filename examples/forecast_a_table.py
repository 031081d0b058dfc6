"""A table with two series, a gap and a covariate that is known ahead: train, read the score, forecast, save, load."""

import numpy as np

from gatework import Forecaster

draw = np.random.default_rng(0)
days = np.arange("2022-01-01", "2024-01-01", dtype="datetime64[D]")
rows = []
for shop, size in {"north": 40.0, "south": 90.0}.items():
    promotion = draw.random(days.size) < 0.1
    weekly = np.sin(2 * np.pi * np.arange(days.size) / 7)
    sales = size * (1 + 0.3 * weekly + 0.5 * promotion) + 3 * draw.standard_normal(days.size)
    sales[200:210] = np.nan  # closed: a gap is legal and stays one
    rows += list(zip([shop] * days.size, days, sales, promotion.astype(float), strict=True))
names = ("shop", "day", "sales", "promotion")
table = {
    name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
}

model = Forecaster(
    horizon=7,
    target="sales",
    time="day",
    id="shop",
    known=("promotion",),
    hidden_size=16,
    max_epochs=4,
)
model.fit(table, folder="shops", progress=False)
print(model.report_["headline"])

again = Forecaster.load("shops")
past = {name: column[table["day"] < days[-7]] for name, column in table.items()}
week = {name: column[table["day"] >= days[-7]] for name, column in table.items()}
week["sales"] = np.full(week["sales"].shape, np.nan)  # unknown yet; the promotions are planned
planned = {name: np.concatenate([past[name], week[name]]) for name in table}
forecast = again.predict(planned)
for shop, day, value in list(
    zip(forecast["shop"], forecast["day"], forecast["forecast"], strict=True)
)[:7]:
    print(shop, day, f"{value:.1f}")
