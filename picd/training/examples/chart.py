"""A chart as a plotting library draws it: a year of weather at an invented station."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from PIL import Image

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (the backend comes first)


def chart(width: int = 1280, height: int = 720, seed: int = 5) -> Image.Image:
    """Temperatures, rain by month and a scatter of both; RGB of ``width`` x ``height`` pixels."""
    rng = np.random.default_rng(seed)
    day = np.arange(365)
    season = 8.5 - 10.5 * np.cos(2 * np.pi * (day - 18) / 365)
    drift = np.convolve(rng.normal(0, 4.2, 365 + 8), np.ones(9) / 3, "valid")
    temperature = season + drift
    rain = rng.gamma(4, 18, 12) * (1 - 0.35 * np.sin(np.pi * (np.arange(12) - 3) / 6))
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

    with pyplot.style.context("seaborn-v0_8-whitegrid"):
        figure = pyplot.figure(figsize=(width / 100, height / 100), dpi=100, layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=(1.15, 1))
        top = figure.add_subplot(grid[0, :])
        top.fill_between(
            day, season - 6, season + 6, color="#f4a259", alpha=0.25, label="usual range"
        )
        top.plot(day, temperature, color="#bc4b51", linewidth=1.4, label="daily mean")
        top.plot(day, season, color="#5b8e7d", linewidth=2.2, label="30-year mean")
        top.annotate("warmest day", (int(temperature.argmax()), temperature.max()), (250, 27.5),
                     arrowprops={"arrowstyle": "->", "color": "#333333"})  # fmt: skip
        top.set(xlim=(0, 364), ylim=(-14, 32), ylabel="Temperature (°C)")
        top.set_xticks(np.linspace(0, 335, 12) + 15, months)
        top.set_title("Weather at Harbour Station, 2025", fontsize=16, fontweight="bold")
        top.legend(loc="upper left", ncols=3, frameon=True)
        bars = figure.add_subplot(grid[1, 0])
        bars.bar(months, rain, color=pyplot.colormaps["viridis"](rain / rain.max() * 0.85))
        bars.set(ylabel="Rain (mm)", title="Rain by month")
        dots = figure.add_subplot(grid[1, 1])
        humidity = np.clip(82 - 1.3 * temperature + rng.normal(0, 7, 365), 25, 100)
        points = dots.scatter(temperature, humidity, c=day, cmap="twilight", s=16, alpha=0.85)
        dots.set(
            xlabel="Temperature (°C)", ylabel="Humidity (%)", title="Humidity against temperature"
        )
        figure.colorbar(points, ax=dots, label="Day of the year")
        buffer = io.BytesIO()
        figure.savefig(buffer)
        pyplot.close(figure)
    return Image.open(buffer).convert("RGB")
