"""A procedural mountain lake: fractal terrain, low sun, haze, water. NumPy only, no third party."""

from __future__ import annotations

import numpy as np
from PIL import Image

CELLS = 1536
"""Terrain samples a side; the camera stands at the middle of the near edge."""


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: float) -> np.ndarray:
    """Smooth value noise, float32 in about -1..1: a random grid of ``cells`` rows, enlarged."""
    grid = (max(2, round(cells)), max(2, round(cells * shape[1] / shape[0])))
    values = Image.fromarray(rng.uniform(-1, 1, grid).astype(np.float32))
    return np.asarray(values.resize(shape[::-1], Image.Resampling.BICUBIC))


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int, gain: float = 0.5
) -> np.ndarray:
    """Sum of octaves of :func:`noise`, each twice as fine and ``gain`` times as strong."""
    return sum(gain**k * noise(rng, shape, cells * 2**k) for k in range(octaves))


def terrain(rng: np.random.Generator) -> np.ndarray:
    """Heights (CELLS, CELLS), 0 is the water level: ridges at the back, a basin in front."""
    shape = (CELLS, CELLS)
    ridged = sum(0.45**k * (1 - np.abs(noise(rng, shape, 4 * 2**k))) ** 2 for k in range(6)) / 1.8
    hills = fractal(rng, shape, 3, 8)
    depth, across = np.mgrid[0 : 1 : CELLS * 1j, -1 : 1 : CELLS * 1j].astype(np.float32)
    valley = np.clip(1.5 * depth - 0.5 + 0.5 * np.abs(across) ** 1.5, -0.25, 1.0)
    return 250 * valley * ridged**1.5 + 26 * hills * (0.25 + depth) - 4


def surface(rng: np.random.Generator, height: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """Lit colours (CELLS, CELLS, 3), linear light: forest, meadow, rock, snow; cast shadows."""
    slope_y, slope_x = np.gradient(height)
    normal = np.stack([-slope_x, np.full_like(height, 1.0), -slope_y], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    detail = fractal(rng, height.shape, 96, 4, 0.7)
    level = height + 30 * fractal(rng, height.shape, 12, 5)
    steep = 1 - normal[..., 1]

    def blend(base: np.ndarray, color: tuple, share: np.ndarray) -> np.ndarray:
        share = np.clip(share, 0, 1)[..., None]
        return base * (1 - share) + np.asarray(color, np.float32) * share

    color = np.broadcast_to(np.float32([0.035, 0.062, 0.022]), (*height.shape, 3))
    color = blend(color, (0.13, 0.15, 0.04), 0.6 * (detail > 0.25) * (steep < 0.45))
    color = blend(color, (0.16, 0.13, 0.105), (level - 85) / 40 + (steep - 0.5) * 5)
    color = blend(color, (0.9, 0.92, 0.98), (level - 135) / 25 - (steep - 0.42) * 6)
    color = blend(color, (0.30, 0.25, 0.16), 1 - height / 5)
    ascent = -sun[1] / sun[0] * np.arange(CELLS, dtype=np.float32)
    skyline = np.maximum.accumulate(height + ascent, axis=1)
    lit = np.clip(1 - (skyline - height - ascent) / 6, 0, 1)
    direct = np.clip(normal @ sun, 0, None) * lit
    ambient = 0.5 + 0.5 * normal[..., 1]
    light = direct[..., None] * np.float32([3.3, 2.55, 1.75]) + ambient[..., None] * np.float32(
        [0.34, 0.44, 0.62]
    )
    return color * light * (1 + 0.35 * detail[..., None])


def sky(rng: np.random.Generator, width: int, rows: int, sun_at: tuple[float, float]) -> np.ndarray:
    """Sky above the horizon (rows, width, 3), linear light, with thin clouds and a glow."""
    up = np.linspace(1, 0, rows, dtype=np.float32)[:, None]
    zenith, low = np.float32([0.10, 0.23, 0.50]), np.float32([0.95, 0.66, 0.42])
    base = zenith + (low - zenith) * (np.exp(-3.2 * up)[..., None])
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    distance = np.hypot((x - sun_at[0]) * width / rows, up - sun_at[1])
    glow = np.exp(-4.5 * distance)[..., None] * np.float32([1.0, 0.62, 0.26])
    stretched = fractal(rng, (rows, width), 3, 7, 0.55)
    bands = fractal(rng, (rows, width // 6), 5, 6, 0.55)
    bands = np.asarray(Image.fromarray(bands).resize((width, rows), Image.Resampling.BICUBIC))
    cover = np.clip((0.55 * stretched + bands) * 1.1 - 0.15, 0, 1) * np.clip(1.25 - up, 0, 1)
    cloud = np.float32([1.0, 0.78, 0.62]) * (0.75 + 0.6 * np.exp(-3 * distance))[..., None]
    disc = np.clip((0.035 - distance) * 220, 0, 1)[..., None] * 1.6
    return base + glow + (cloud - base) * 0.75 * cover[..., None] + disc


def landscape(width: int = 1280, height: int = 720, seed: int = 3) -> np.ndarray:
    """The picture: uint8 (height, width, 3), rendered at twice the size and averaged down."""
    rng = np.random.default_rng(seed)
    w, h = 2 * width, 2 * height
    horizon, eye, focal = int(0.47 * h), 26.0, 0.95 * w
    sun = np.float32([-0.80, 0.36, 0.48])
    sun /= np.linalg.norm(sun)
    ground = terrain(rng)
    colors = surface(rng, ground, sun)

    steps = np.geomspace(14, 1500, 1500, dtype=np.float32)
    angle = (np.arange(w, dtype=np.float32) - w / 2) / focal
    column = np.clip(CELLS / 2 + steps[:, None] * angle, 0, CELLS - 1)
    row = np.broadcast_to(np.clip(steps[:, None], 0, CELLS - 1), column.shape)
    y0, x0 = row.astype(int), column.astype(int)
    y1, x1 = np.minimum(y0 + 1, CELLS - 1), np.minimum(x0 + 1, CELLS - 1)
    fy, fx = row - y0, column - x0

    def sample(values: np.ndarray) -> np.ndarray:
        a, b = (fy, fx) if values.ndim == 2 else (fy[..., None], fx[..., None])
        top = values[y0, x0] * (1 - b) + values[y0, x1] * b
        return top * (1 - a) + (values[y1, x0] * (1 - b) + values[y1, x1] * b) * a

    heights = sample(ground)
    screen = horizon + (eye - np.maximum(heights, 0)) * focal / steps[:, None]
    skyline = np.minimum.accumulate(screen, axis=0)
    lake = heights <= 0

    haze = 0.6 * (1 - np.exp(-((steps / 1500) ** 1.7)))
    tone = np.float32([0.62, 0.58, 0.60])
    shaded = sample(colors) * (1 - haze[:, None, None]) + tone * haze[:, None, None]

    picture = np.empty((h, w, 3), np.float32)
    picture[: horizon + 1] = sky(rng, w, horizon + 1, (0.16, 0.30))
    picture[horizon:] = picture[horizon]
    water = np.zeros((h, w), bool)
    rows = np.arange(h)
    for x in range(w):
        first = np.searchsorted(-skyline[:, x], -rows, side="left")
        seen = first < len(steps)
        picture[seen, x] = shaded[first[seen], x]
        water[seen, x] = lake[first[seen], x]
    picture = reflected(rng, picture, water, horizon)
    small = picture.reshape(height, 2, width, 2, 3).mean((1, 3))
    return _display(small)


def reflected(
    rng: np.random.Generator, picture: np.ndarray, water: np.ndarray, horizon: int
) -> np.ndarray:
    """Mirror the scene in the ``water`` pixels, broken by ripples that widen towards the viewer."""
    h, w, _ = picture.shape
    depth = np.clip((np.arange(h, dtype=np.float32) - horizon) / (h - horizon), 0, 1)[:, None]
    rise = max(2, h // 2)
    ripple = np.asarray(
        Image.fromarray(fractal(rng, (rise, w // 14), 120, 3, 0.6)).resize(
            (w, h), Image.Resampling.BICUBIC
        )
    )
    mirror = 2 * horizon - np.arange(h)[:, None] + ripple * (4 + 46 * depth)
    source_y = np.clip(mirror, 0, horizon).astype(int)
    source_x = np.clip(np.arange(w)[None] + ripple * (1 + 6 * depth), 0, w - 1).astype(int)
    deep = np.float32([0.020, 0.055, 0.075])
    share = (0.86 - 0.42 * depth)[..., None]
    surface_color = picture[source_y, source_x] * share + deep * (1 - share)
    return np.where(water[..., None], surface_color, picture)


def _display(linear: np.ndarray) -> np.ndarray:
    """Filmic tone curve (Hable's rational form, simplified) and sRGB gamma to uint8."""
    exposed = 0.95 * linear
    mapped = exposed * (2.51 * exposed + 0.03) / (exposed * (2.43 * exposed + 0.59) + 0.14)
    return (255 * np.clip(mapped, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)
